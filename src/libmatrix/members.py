"""The members of a room: kept, and loaded from the homeserver when some may be missing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast, get_args

import msgspec
from msgspec import Raw

from libmatrix.api import make_path
from libmatrix.events import MalformedEventError, read_event
from libmatrix.permissions import Permissions, read_permissions
from libmatrix.rooms import MEMBER, Member, member_of
from libmatrix.sync_response import salvage
from libmatrix.table_gen import Membership, RoomMember

if TYPE_CHECKING:
    from libmatrix.client import Client

_MEMBERSHIPS = frozenset(get_args(Membership))


class _Answer(msgspec.Struct, gc=False):
    chunk: list[Raw] = []


async def list_members(client: Client, room_id: str, *, reload: bool) -> list[RoomMember]:
    """All members by user id; asks the homeserver unless all are known."""
    state = client.state
    if reload or room_id not in state.loaded_members:
        loaded = await _load(client, room_id)
        if room_id in state.rooms:
            state.keep_members(room_id, loaded)
            found = state.members(room_id)
        else:
            found = {user: member_of(read_event(bytes(raw))) for user, raw in loaded.items()}
    else:
        found = state.members(room_id)
    permissions = await read_permissions(client, room_id)
    return _records(found, permissions)


async def _load(client: Client, room_id: str) -> dict[str, Raw]:
    """Member events by user, as of the last sync where there was one."""
    state = client.state
    room = state.rooms.get(room_id)
    is_joined = room is not None and room.membership == "join"
    query = [("at", state.next_batch)] if is_joined and state.next_batch else []
    body = await client.api.call("GET", make_path("rooms", room_id, "members"), query=query)
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
