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
from libmatrix.sync.response import salvage
from libmatrix.table_gen import Membership, RoomMember

if TYPE_CHECKING:
    from libmatrix.client import Client

_MEMBERSHIPS = frozenset(get_args(Membership))


class _Answer(msgspec.Struct, gc=False):
    chunk: list[Raw] = []


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
    is_joined = room_id in state.rooms and state.rooms[room_id].membership == "join"
    # As of the last sync: what comes after it, the next one tells.
    loaded = await _fetch(client, room_id, at=state.next_batch if is_joined else None)
    if room_id not in state.rooms:
        return {user: member_of(read_event(bytes(raw))) for user, raw in loaded.items()}
    state.keep_members(room_id, loaded)
    return state.members(room_id)


async def fetch_members(client: Client, room_id: str, **query: str | None) -> dict[str, Member]:
    """What the homeserver says. The query: at, membership, not_membership."""
    loaded = await _fetch(client, room_id, **query)
    return {user: member_of(read_event(bytes(raw))) for user, raw in loaded.items()}


async def _fetch(client: Client, room_id: str, **query: str | None) -> dict[str, Raw]:
    """Member events by user."""
    given = [(name, value) for name, value in query.items() if value]
    body = await client.api.call("GET", make_path("rooms", room_id, "members"), query=given)
    found: dict[str, Raw] = {}
    for index, raw in enumerate(salvage(body, _Answer)[0].chunk):
        try:
            head = read_event(bytes(raw))
        except MalformedEventError as error:
            text = f"{room_id}: member {index} was left out: {error}"
            client.log.record("warning", "members", text, "E_MALFORMED_EVENT")
            continue
        if head.type == MEMBER and head.state_key is not None:
            found[head.state_key] = raw
    return found


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
            is_creator=user_id in permissions.creators,
        )
        for user_id, member in sorted(found.items())
        if isinstance(member.membership, str) and member.membership in _MEMBERSHIPS
    ]


def _shown(user_id: str, member: Member, here: Counter[str | None]) -> str:
    """What to show ("Calculating the display name for a user")."""
    if member.name is None:
        return user_id
    return f"{member.name} ({user_id})" if here[member.name] > 1 else member.name
