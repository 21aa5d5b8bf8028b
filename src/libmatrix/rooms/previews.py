"""Rooms as homeservers tell of them to who has not joined; one field may be wrong, not all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from msgspec import Raw

from libmatrix.api import decode, make_path
from libmatrix.errors import BROKEN_JSON, HomeserverError, MatrixError, ResponseError
from libmatrix.table_gen import Membership, RoomPreview

if TYPE_CHECKING:
    from libmatrix.client import Client

_MEMBERSHIPS = frozenset(get_args(Membership))
_V1 = "/_matrix/client/v1"
_EARLY = "/_matrix/client/unstable/im.nheko.summary"
_MOST = (1 << 63) - 1


class Chunk(msgspec.Struct, gc=False):
    """What publicRooms, room_summary and hierarchy have in common, and what they have not."""

    room_id: str
    name: Any = None
    topic: Any = None
    canonical_alias: Any = None
    avatar_url: Any = None
    num_joined_members: Any = None
    join_rule: Any = None
    room_type: Any = None
    room_version: Any = None
    encryption: Any = None
    world_readable: Any = None
    guest_can_join: Any = None
    allowed_room_ids: Any = None
    membership: Any = None
    children_state: Raw = Raw()
    early_version: Any = msgspec.field(default=None, name="im.nheko.summary.room_version")
    early_encryption: Any = msgspec.field(default=None, name="im.nheko.summary.encryption")


class _Resolved(msgspec.Struct):
    room_id: str


class _Hierarchy(msgspec.Struct):
    rooms: list[Raw]


def fields(chunk: Chunk) -> dict[str, Any]:
    """The fields that records of such rooms have in common."""
    allowed = chunk.allowed_room_ids if isinstance(chunk.allowed_room_ids, list) else []
    return {
        "room_id": chunk.room_id,
        "name": _text(chunk.name),
        "topic": _text(chunk.topic),
        "canonical_alias": _text(chunk.canonical_alias),
        "avatar_url": _text(chunk.avatar_url),
        "joined_member_count": max(whole(chunk.num_joined_members) or 0, 0),
        "join_rule": _text(chunk.join_rule),
        "room_type": _text(chunk.room_type),
        "version": _text(chunk.room_version) or _text(chunk.early_version),
        "encryption": _text(chunk.encryption) or _text(chunk.early_encryption),
        "is_world_readable": chunk.world_readable is True,
        "guest_can_join": chunk.guest_can_join is True,
        "allowed_room_ids": [room for room in allowed if isinstance(room, str)],
    }


def read_chunks(client: Client, chunks: Sequence[Raw]) -> list[Chunk]:
    """The rooms of a page; what is no room is left out and logged."""
    found = []
    for index, raw in enumerate(chunks):
        try:
            found.append(msgspec.json.decode(raw, type=Chunk))
        except BROKEN_JSON:
            text = f"item {index} of a list of rooms was left out: it is not a room"
            client.log.record("warning", "directory", text, "E_INVALID_RESPONSE")
    return found


def previews(client: Client, chunks: Sequence[Raw]) -> list[RoomPreview]:
    """The same as records."""
    return [preview(chunk) for chunk in read_chunks(client, chunks)]


def preview(chunk: Chunk) -> RoomPreview:
    """One record."""
    membership = chunk.membership
    known = isinstance(membership, str) and membership in _MEMBERSHIPS
    return RoomPreview(**fields(chunk), membership=membership if known else None)


async def fetch_summary(client: Client, room: str, via: Sequence[str]) -> RoomPreview:
    """What the homeserver says of one room, also one that is older than the request for that."""
    query = [("via", server) for server in via]
    paths = (
        make_path("room_summary", room, prefix=_V1),
        make_path("summary", room, prefix=_EARLY),
        make_path("rooms", room, "summary", prefix=_EARLY),
    )
    first: MatrixError | None = None
    for path in paths:
        try:
            return preview(decode(await client.api.call("GET", path, query=query), Chunk))
        except MatrixError as error:
            if not _is_unknown_path(error):
                raise
            first = first or error
    assert first is not None
    try:
        return await _from_hierarchy(client, room)
    except MatrixError as error:
        raise first if _is_unknown_path(error) else error from None


async def _from_hierarchy(client: Client, room: str) -> RoomPreview:
    """The same from what is told of spaces, which older homeservers know for any room."""
    if room.startswith("#"):
        room = (await client.api.get(_Resolved, make_path("directory", "room", room))).room_id
    query = [("limit", "1"), ("max_depth", "0")]
    path = make_path("rooms", room, "hierarchy", prefix=_V1)
    page = decode(await client.api.call("GET", path, query=query), _Hierarchy)
    found = previews(client, page.rooms)
    if not found:
        raise HomeserverError("the homeserver tells nothing of this room", code="M_NOT_FOUND")
    return found[0]


def _is_unknown_path(error: MatrixError) -> bool:
    is_plain = isinstance(error, ResponseError) and error.http_status in (404, 405)
    return error.code == "M_UNRECOGNIZED" or is_plain


def whole(value: object) -> int | None:
    """A number that is one, also where somebody writes 3.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MOST:
        return None
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
