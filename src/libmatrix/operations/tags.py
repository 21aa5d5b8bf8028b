"""How the user sorts and marks rooms: tags, and what is to be read once more."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from libmatrix.api import decode, make_path
from libmatrix.client import Client
from libmatrix.errors import ArgumentError
from libmatrix.rooms.room import decode_tags
from libmatrix.table_gen import (
    DeleteRoomTagArguments,
    DeleteRoomTagResult,
    MarkRoomUnreadArguments,
    MarkRoomUnreadResult,
    RoomTagsArguments,
    RoomTagsResult,
    SetRoomTagArguments,
    SetRoomTagResult,
)

_MARKED_UNREAD = "m.marked_unread"
# Before it was specified.
_EARLY_MARKED_UNREAD = "com.famedly.marked_unread"
_MOST_BYTES = 255

_encode = msgspec.json.Encoder().encode


async def room_tags(client: Client, arguments: RoomTagsArguments) -> RoomTagsResult:
    """The tags of a room."""
    state, room_id = client.state, arguments.room_id
    room = state.rooms.get(room_id)
    if room is not None and not state.is_partial and not arguments.reload:
        return RoomTagsResult(tags=Raw(_encode(room.tags or {})))
    path = await _path(client, room_id, "tags")
    content = decode(await client.api.call("GET", path), Raw)
    return RoomTagsResult(tags=Raw(_encode(decode_tags(content))))


async def set_room_tag(client: Client, arguments: SetRoomTagArguments) -> SetRoomTagResult:
    """Tags a room."""
    if not 0 < len(arguments.tag.encode()) <= _MOST_BYTES:
        raise ArgumentError("tag: must be of 1 to 255 bytes")
    body = {}
    if arguments.order is not None:
        if not 0 <= arguments.order <= 1:
            raise ArgumentError("order: must be from 0 to 1")
        body["order"] = arguments.order
    path = await _path(client, arguments.room_id, "tags", arguments.tag)
    await client.api.call("PUT", path, body=body)
    return SetRoomTagResult()


async def delete_room_tag(client: Client, arguments: DeleteRoomTagArguments) -> DeleteRoomTagResult:
    """Takes a tag off a room."""
    path = await _path(client, arguments.room_id, "tags", arguments.tag)
    await client.api.call("DELETE", path)
    return DeleteRoomTagResult()


async def mark_room_unread(
    client: Client, arguments: MarkRoomUnreadArguments
) -> MarkRoomUnreadResult:
    """Marks a room as unread, also under the early name where another client has used that."""
    room_id, body = arguments.room_id, {"unread": arguments.is_unread}
    kinds = [_MARKED_UNREAD]
    if client.state.account_data(room_id, _EARLY_MARKED_UNREAD) is not None:
        kinds.append(_EARLY_MARKED_UNREAD)
    for kind in kinds:
        path = await _path(client, room_id, "account_data", kind)
        await client.api.call("PUT", path, body=body)
    return MarkRoomUnreadResult()


async def _path(client: Client, room_id: str, *parts: str) -> str:
    return make_path("user", await client.syncer.user_id(), "rooms", room_id, *parts)
