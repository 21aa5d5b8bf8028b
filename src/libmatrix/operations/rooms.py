"""Rooms: what is known of them, making and replacing them."""

from __future__ import annotations

from typing import Any

import msgspec

from libmatrix.api import make_path
from libmatrix.client import Client
from libmatrix.errors import ArgumentError, UnknownRoomError
from libmatrix.events.head import content
from libmatrix.identifiers import check_user_ids
from libmatrix.rooms.creation import create
from libmatrix.rooms.direct import remember
from libmatrix.rooms.room import ENCRYPTION, has_creator_power
from libmatrix.rooms.state_events import content_of
from libmatrix.rooms.succession import find_predecessor, find_successor, join_newest
from libmatrix.table_gen import (
    CreateRoomArguments,
    CreateRoomResult,
    JoinSuccessorArguments,
    JoinSuccessorResult,
    RoomDetailsArguments,
    RoomDetailsResult,
    RoomPredecessorArguments,
    RoomPredecessorResult,
    RoomsArguments,
    RoomsResult,
    RoomSuccessorArguments,
    RoomSuccessorResult,
    UpgradeRoomArguments,
    UpgradeRoomResult,
)


class _Replacement(msgspec.Struct):
    replacement_room: str


class _JoinRules(msgspec.Struct):
    allow: Any = None


async def rooms(client: Client, arguments: RoomsArguments) -> RoomsResult:
    """The rooms the client knows from its syncs."""
    state = client.state
    wanted = arguments.membership
    direct = state.direct
    known = [state.rooms[room_id] for room_id in sorted(state.rooms)]
    return RoomsResult(
        rooms=[
            room.record(room.room_id in direct)
            for room in known
            if wanted is None or room.membership == wanted
        ]
    )


async def room_details(client: Client, arguments: RoomDetailsArguments) -> RoomDetailsResult:
    """All that is known of one room."""
    state = client.state
    room = state.rooms.get(arguments.room_id)
    if room is None:
        raise UnknownRoomError(arguments.room_id)
    encryption = None
    if room.is_encrypted and not room.is_stripped:
        event = state.event(room.room_id, ENCRYPTION, "")
        encryption = content_of(event) if event is not None else None
    return RoomDetailsResult(
        room=room.record(room.room_id in state.direct),
        heroes=room.heroes or [],
        creators=room.creators,
        join_rule=room.join_rule,
        history_visibility=room.history_visibility,
        guest_access=room.guest_access,
        encryption=encryption,
        prev_batch=room.prev_batch,
        last_event_id=room.last_event_id,
        membership_sender=room.membership_sender,
        membership_reason=room.membership_reason,
        has_all_members=room.room_id in state.loaded_members,
        allowed_room_ids=_allowed(state.event(room.room_id, "m.room.join_rules", "")),
    )


def _allowed(event: bytes | None) -> list[str]:
    """The rooms whose members a state event of join rules lets in."""
    allow = content(content_of(event), _JoinRules).allow if event is not None else None
    found = [each for each in allow if isinstance(each, dict)] if isinstance(allow, list) else []
    rooms = [each.get("room_id") for each in found if each.get("type") == "m.room_membership"]
    return [room_id for room_id in rooms if isinstance(room_id, str)]


async def create_room(client: Client, arguments: CreateRoomArguments) -> CreateRoomResult:
    """Creates a room; a direct chat is kept in m.direct too."""
    room_id = await create(client, arguments)
    if arguments.is_direct and arguments.invite:
        await remember(client, arguments.invite, room_id)
    return CreateRoomResult(room_id=room_id)


async def upgrade_room(client: Client, arguments: UpgradeRoomArguments) -> UpgradeRoomResult:
    """Has the homeserver replace a room."""
    creators = arguments.additional_creators
    body: dict[str, Any] = {"new_version": arguments.new_version}
    if creators:
        check_user_ids(creators, "additional_creators")
        if not has_creator_power(arguments.new_version):
            raise ArgumentError("additional_creators: only from room version 12 on")
        body["additional_creators"] = creators
    path = make_path("rooms", arguments.room_id, "upgrade")
    answer = await client.api.post(_Replacement, path, body)
    return UpgradeRoomResult(successor_room_id=answer.replacement_room)


async def room_successor(client: Client, arguments: RoomSuccessorArguments) -> RoomSuccessorResult:
    """The room that replaced one."""
    found = await find_successor(client, arguments.room_id)
    return RoomSuccessorResult(successor_room_id=found.room_id, body=found.body, via=found.via)


async def room_predecessor(
    client: Client, arguments: RoomPredecessorArguments
) -> RoomPredecessorResult:
    """The room that one replaced."""
    room_id, event_id = await find_predecessor(client, arguments.room_id)
    return RoomPredecessorResult(predecessor_room_id=room_id, event_id=event_id)


async def join_successor(client: Client, arguments: JoinSuccessorArguments) -> JoinSuccessorResult:
    """Joins the newest of the rooms that replaced one."""
    return JoinSuccessorResult(
        room_id=await join_newest(client, arguments.room_id, arguments.reason)
    )
