"""Rooms: what is known of them, making and joining them."""

from __future__ import annotations

from typing import Any

import msgspec

from libmatrix.api import decode, make_path
from libmatrix.client import Client
from libmatrix.table_gen import (
    CreateRoomArguments,
    CreateRoomResult,
    JoinRoomArguments,
    JoinRoomResult,
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
