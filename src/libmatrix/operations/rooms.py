"""Rooms: what is known of them, making and joining them."""

from __future__ import annotations

from typing import Any

import msgspec

from libmatrix.api import decode, make_path
from libmatrix.client import Client
from libmatrix.errors import UnknownRoomError
from libmatrix.members import list_members
from libmatrix.room_state import content_of
from libmatrix.rooms import ENCRYPTION
from libmatrix.table_gen import (
    CreateRoomArguments,
    CreateRoomResult,
    ForgetRoomArguments,
    ForgetRoomResult,
    JoinRoomArguments,
    JoinRoomResult,
    KnockRoomArguments,
    KnockRoomResult,
    LeaveRoomArguments,
    LeaveRoomResult,
    MembersArguments,
    MembersResult,
    RoomDetailsArguments,
    RoomDetailsResult,
    RoomsArguments,
    RoomsResult,
)


class _RoomAnswer(msgspec.Struct):
    room_id: str


async def rooms(client: Client, arguments: RoomsArguments) -> RoomsResult:
    """The rooms the client knows from its syncs."""
    state = client.state
    wanted = arguments.membership
    known = sorted(state.rooms.items())
    return RoomsResult(
        rooms=[
            room.record(room_id in state.direct)
            for room_id, room in known
            if wanted is None or room.membership == wanted
        ]
    )


async def create_room(client: Client, arguments: CreateRoomArguments) -> CreateRoomResult:
    """Creates a room."""
    body: dict[str, Any] = {"visibility": arguments.visibility}
    for key in ("name", "topic", "room_alias_name", "preset", "invite"):
        value = getattr(arguments, key)
        if value is not None:
            body[key] = value
    if arguments.is_direct:
        body["is_direct"] = True
    if arguments.encrypted:
        content = {"algorithm": "m.megolm.v1.aes-sha2"}
        event = {"type": "m.room.encryption", "state_key": "", "content": content}
        body["initial_state"] = [event]
    answer = await client.api.post(_RoomAnswer, make_path("createRoom"), body)
    return CreateRoomResult(room_id=answer.room_id)


async def join_room(client: Client, arguments: JoinRoomArguments) -> JoinRoomResult:
    """Joins a room by id or alias."""
    body = {} if arguments.reason is None else {"reason": arguments.reason}
    query = [("via", server) for server in arguments.via or ()]
    path = make_path("join", arguments.room_id_or_alias)
    answer = decode(await client.api.call("POST", path, query=query, body=body), _RoomAnswer)
    return JoinRoomResult(room_id=answer.room_id)


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
    )


async def members(client: Client, arguments: MembersArguments) -> MembersResult:
    """A room's members, all of them."""
    found = await list_members(client, arguments.room_id, reload=arguments.reload)
    wanted = arguments.membership
    if wanted is not None:
        found = [member for member in found if member.membership == wanted]
    return MembersResult(members=found)


async def leave_room(client: Client, arguments: LeaveRoomArguments) -> LeaveRoomResult:
    """Leaves a room, or declines an invitation to it."""
    body = {} if arguments.reason is None else {"reason": arguments.reason}
    await client.api.call("POST", make_path("rooms", arguments.room_id, "leave"), body=body)
    return LeaveRoomResult()


async def forget_room(client: Client, arguments: ForgetRoomArguments) -> ForgetRoomResult:
    """Forgets a room that was left, here too."""
    await client.api.call("POST", make_path("rooms", arguments.room_id, "forget"), body={})
    client.state.forget_room(arguments.room_id)
    return ForgetRoomResult()


async def knock_room(client: Client, arguments: KnockRoomArguments) -> KnockRoomResult:
    """Asks to be invited."""
    body = {} if arguments.reason is None else {"reason": arguments.reason}
    query = [("via", server) for server in arguments.via or ()]
    path = make_path("knock", arguments.room_id_or_alias)
    answer = decode(await client.api.call("POST", path, query=query, body=body), _RoomAnswer)
    return KnockRoomResult(room_id=answer.room_id)
