"""The members of a room: kept, and loaded from the homeserver when some may be missing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast, get_args

import msgspec
from msgspec import Raw

from libmatrix.api import make_path
from libmatrix.events.head import MalformedEventError, read_event
from libmatrix.rooms.permissions import Permissions, read_permissions
from libmatrix.rooms.room import MEMBER, Member, member_of
from libmatrix.sync.response import require_chunk, salvage
from libmatrix.table_gen import Membership, RoomMember

if TYPE_CHECKING:
    from libmatrix.client import Client
    from libmatrix.store.state import Changes, State

_MEMBERSHIPS = frozenset(get_args(Membership))
# How often the list is asked for while syncs tell that members may be missing again.
_ATTEMPTS = 3


class _Answer(msgspec.Struct, gc=False):
    chunk: list[Raw] = []


class _Load:
    """A list on its way: as of which sync, and what later ones tell before it is here."""

    def __init__(self, state: State, room_id: str) -> None:
        self._room_id = room_id
        room = state.rooms.get(room_id)
        # As of the last sync, be it in the store or not: what comes after it, the next one tells.
        last = state.pending.next_batch if state.pending is not None else state.next_batch
        self.at = last if room is not None and room.membership == "join" else None
        self.newer: dict[str, Raw] = {}
        self.is_outdated = False

    def see(self, changes: Changes) -> None:
        """Takes what a sync changes."""
        room_id = self._room_id
        if changes.next_batch == self.at:
            return
        for (kind, user_id), raw in changes.states.get(room_id, {}).items():
            if kind == MEMBER:
                self.newer[user_id] = raw
        self.is_outdated = self.is_outdated or room_id in changes.lost_members


async def list_members(
    client: Client, room_id: str, *, reload: bool = False, at: str | None = None
) -> list[RoomMember]:
    """All members by user id; asks the homeserver unless all are known.

    `at`: as they were at that place; the homeserver is asked, and nothing is kept.
    """
    if at is not None:
        found = await fetch_members(client, room_id, at=at)
    else:
        found = await known_members(client, room_id, reload=reload)
    permissions = await read_permissions(client, room_id)
    return _records(found, permissions)


async def known_members(client: Client, room_id: str, *, reload: bool = False) -> dict[str, Member]:
    """All members by user id as their events say; the homeserver is asked where some may lack."""
    state = client.state
    if not reload and room_id in state.loaded_members:
        return state.members(room_id)
    for _ in range(_ATTEMPTS):
        load = _Load(state, room_id)
        with state.watched(load.see):
            loaded = await _fetch(client, room_id, at=load.at)
        if state.pending is not None:
            load.see(state.pending)
        if not load.is_outdated:
            break
    if room_id not in state.rooms:
        return _read(loaded)
    loaded |= load.newer
    if state.is_fresh(room_id):
        # What the store has of it goes when the room's first sync is committed.
        return _read(loaded) | state.members(room_id)
    state.keep_members(room_id, loaded, are_all=not load.is_outdated)
    return state.members(room_id)


async def fetch_members(client: Client, room_id: str, **query: str | None) -> dict[str, Member]:
    """What the homeserver says. The query: at, membership, not_membership."""
    return _read(await _fetch(client, room_id, **query))


async def _fetch(client: Client, room_id: str, **query: str | None) -> dict[str, Raw]:
    """Member events by user."""
    given = [(name, value) for name, value in query.items() if value]
    body = await client.api.call("GET", make_path("rooms", room_id, "members"), query=given)
    chunk = salvage(body, _Answer)[0].chunk
    require_chunk(chunk, body)
    found: dict[str, Raw] = {}
    for index, raw in enumerate(chunk):
        try:
            head = read_event(bytes(raw))
        except MalformedEventError as error:
            text = f"{room_id}: member {index} was left out: {error}"
            client.log.record("warning", "members", text, "E_MALFORMED_EVENT")
            continue
        if head.type == MEMBER and head.state_key is not None:
            found[head.state_key] = raw
    return found


def _read(events: dict[str, Raw]) -> dict[str, Member]:
    return {user: member_of(read_event(bytes(raw))) for user, raw in events.items()}


def _records(found: dict[str, Member], permissions: Permissions) -> list[RoomMember]:
    here = Counter(m.name for m in found.values() if m.membership in ("join", "invite"))
    return [
        RoomMember(
            user_id=user_id,
            membership=cast(Membership, member.membership),
            name=_shown(user_id, member, here),
            displayname=member.name,
            avatar_url=member.avatar_url if isinstance(member.avatar_url, str) else None,
            power_level=permissions.level(user_id),
            is_creator=permissions.is_creator(user_id),
        )
        for user_id, member in sorted(found.items())
        if isinstance(member.membership, str) and member.membership in _MEMBERSHIPS
    ]


def _shown(user_id: str, member: Member, here: Counter[str | None]) -> str:
    """What to show ("Calculating the display name for a user")."""
    if member.name is None:
        return user_id
    return f"{member.name} ({user_id})" if here[member.name] > 1 else member.name
