"""Aliases, the public directory, and rooms as they are shown before they are joined."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from libmatrix.api import decode, make_path
from libmatrix.client import Client
from libmatrix.errors import ArgumentError
from libmatrix.identifiers import check_alias, check_room
from libmatrix.rooms.previews import fetch_summary, previews, whole
from libmatrix.table_gen import (
    CreateRoomAliasArguments,
    CreateRoomAliasResult,
    DeleteRoomAliasArguments,
    DeleteRoomAliasResult,
    DirectoryVisibilityArguments,
    DirectoryVisibilityResult,
    PublicRoomsArguments,
    PublicRoomsResult,
    ResolveRoomAliasArguments,
    ResolveRoomAliasResult,
    RoomAliasesArguments,
    RoomAliasesResult,
    RoomSummaryArguments,
    RoomSummaryResult,
    SetDirectoryVisibilityArguments,
    SetDirectoryVisibilityResult,
    Visibility,
)


class _Resolved(msgspec.Struct):
    room_id: str
    servers: list[str] = []


class _Aliases(msgspec.Struct):
    aliases: list[str]


class _Visibility(msgspec.Struct):
    visibility: Visibility


class _Page(msgspec.Struct):
    chunk: list[Raw]
    next_batch: str | None = None
    prev_batch: str | None = None
    total_room_count_estimate: Any = None


async def create_room_alias(
    client: Client, arguments: CreateRoomAliasArguments
) -> CreateRoomAliasResult:
    """Gives a room an alias."""
    body = {"room_id": arguments.room_id}
    await client.api.call("PUT", _alias_path(arguments.alias), body=body)
    return CreateRoomAliasResult()


async def resolve_room_alias(
    client: Client, arguments: ResolveRoomAliasArguments
) -> ResolveRoomAliasResult:
    """The room that an alias means."""
    found = await client.api.get(_Resolved, _alias_path(arguments.alias))
    return ResolveRoomAliasResult(room_id=found.room_id, via=found.servers)


async def delete_room_alias(
    client: Client, arguments: DeleteRoomAliasArguments
) -> DeleteRoomAliasResult:
    """Takes an alias away."""
    await client.api.call("DELETE", _alias_path(arguments.alias))
    return DeleteRoomAliasResult()


async def room_aliases(client: Client, arguments: RoomAliasesArguments) -> RoomAliasesResult:
    """The aliases that the homeserver has for a room."""
    path = make_path("rooms", arguments.room_id, "aliases")
    return RoomAliasesResult(aliases=sorted((await client.api.get(_Aliases, path)).aliases))


async def directory_visibility(
    client: Client, arguments: DirectoryVisibilityArguments
) -> DirectoryVisibilityResult:
    """Whether a room is in the public directory."""
    path = make_path("directory", "list", "room", arguments.room_id)
    found = await client.api.get(_Visibility, path)
    return DirectoryVisibilityResult(visibility=found.visibility)


async def set_directory_visibility(
    client: Client, arguments: SetDirectoryVisibilityArguments
) -> SetDirectoryVisibilityResult:
    """Puts a room into the public directory or takes it out."""
    path = make_path("directory", "list", "room", arguments.room_id)
    await client.api.call("PUT", path, body={"visibility": arguments.visibility})
    return SetDirectoryVisibilityResult()


async def public_rooms(client: Client, arguments: PublicRoomsArguments) -> PublicRoomsResult:
    """A page of a public directory."""
    query = [("server", arguments.server)] if arguments.server is not None else []
    path = make_path("publicRooms")
    answer = await client.api.call("POST", path, query=query, body=_search(arguments))
    page = decode(answer, _Page)
    return PublicRoomsResult(
        rooms=previews(client, page.chunk),
        next_batch=page.next_batch,
        prev_batch=page.prev_batch,
        total_room_count_estimate=whole(page.total_room_count_estimate),
    )


def _search(arguments: PublicRoomsArguments) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if arguments.limit is not None:
        if arguments.limit < 1:
            raise ArgumentError("limit: must be above 0")
        body["limit"] = arguments.limit
    if arguments.include_all_networks and arguments.third_party_instance_id is not None:
        raise ArgumentError("third_party_instance_id: does not go with include_all_networks")
    if arguments.include_all_networks:
        body["include_all_networks"] = True
    if arguments.from_token is not None:
        body["since"] = arguments.from_token
    if arguments.third_party_instance_id is not None:
        body["third_party_instance_id"] = arguments.third_party_instance_id
    wanted: dict[str, Any] = {}
    if arguments.search_term:
        wanted["generic_search_term"] = arguments.search_term
    if arguments.room_types is not None:
        # A room without a type is asked for by null.
        wanted["room_types"] = [each or None for each in arguments.room_types]
    if wanted:
        body["filter"] = wanted
    return body


async def room_summary(client: Client, arguments: RoomSummaryArguments) -> RoomSummaryResult:
    """What a room is, before it is joined."""
    check_room(arguments.room_id_or_alias)
    room = await fetch_summary(client, arguments.room_id_or_alias, arguments.via or ())
    return RoomSummaryResult(room=room)


def _alias_path(alias: str) -> str:
    check_alias(alias)
    return make_path("directory", "room", alias)
