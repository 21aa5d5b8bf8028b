"""Spaces: rooms that hold other rooms."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from libmatrix.api import decode, make_path
from libmatrix.client import Client
from libmatrix.errors import ArgumentError
from libmatrix.identifiers import check_room_id
from libmatrix.rooms.creation import SPACE, as_map, create
from libmatrix.rooms.previews import Chunk, fields, read_chunks
from libmatrix.rooms.spaces import (
    CHILD,
    PARENT,
    check_order,
    children_of,
    parents_of,
    told_children,
)
from libmatrix.rooms.state_events import find_events
from libmatrix.rooms.via import via_servers
from libmatrix.sending import send_state
from libmatrix.table_gen import (
    AddSpaceChildArguments,
    AddSpaceChildResult,
    AddSpaceParentArguments,
    AddSpaceParentResult,
    CreateRoomArguments,
    CreateSpaceArguments,
    CreateSpaceResult,
    RemoveSpaceChildArguments,
    RemoveSpaceChildResult,
    RemoveSpaceParentArguments,
    RemoveSpaceParentResult,
    SpaceChildrenArguments,
    SpaceChildrenResult,
    SpaceHierarchyArguments,
    SpaceHierarchyResult,
    SpaceParentsArguments,
    SpaceParentsResult,
    SpaceRoom,
)

_V1 = "/_matrix/client/v1"
# Only who may change the space has something to say in it.
_LEVELS = {"events_default": 100}
_GIVEN = (
    "name",
    "topic",
    "avatar_url",
    "room_alias_name",
    "preset",
    "visibility",
    "invite",
    "room_version",
    "join_rule",
    "allow",
    "history_visibility",
    "guest_access",
    "federate",
    "additional_creators",
    "initial_state",
)

_encode = msgspec.json.Encoder().encode


class _Hierarchy(msgspec.Struct):
    rooms: list[Raw]
    next_batch: str | None = None


async def create_space(client: Client, arguments: CreateSpaceArguments) -> CreateSpaceResult:
    """Creates a space."""
    given: dict[str, Any] = {name: getattr(arguments, name) for name in _GIVEN}
    override = arguments.power_level_content_override
    levels = _LEVELS | as_map(override, "power_level_content_override") if override else _LEVELS
    given["power_level_content_override"] = Raw(_encode(levels))
    wanted = CreateRoomArguments(room_type=SPACE, **given)
    return CreateSpaceResult(space_id=await create(client, wanted))


async def add_space_child(client: Client, arguments: AddSpaceChildArguments) -> AddSpaceChildResult:
    """Puts a room into a space."""
    space_id, room_id = arguments.space_id, arguments.room_id
    _check_link(space_id, room_id, arguments.via)
    content: dict[str, Any] = {}
    if arguments.order is not None:
        check_order(arguments.order)
        content["order"] = arguments.order
    if arguments.suggested:
        content["suggested"] = True
    content["via"] = arguments.via or await via_servers(client, room_id)
    event_id = await send_state(client, space_id, CHILD, room_id, content)
    return AddSpaceChildResult(event_id=event_id)


async def remove_space_child(
    client: Client, arguments: RemoveSpaceChildArguments
) -> RemoveSpaceChildResult:
    """Takes a room out of a space."""
    event_id = await send_state(client, arguments.space_id, CHILD, arguments.room_id, {})
    return RemoveSpaceChildResult(event_id=event_id)


async def space_children(client: Client, arguments: SpaceChildrenArguments) -> SpaceChildrenResult:
    """What is directly in a space."""
    events = await find_events(client, arguments.space_id, CHILD, reload=arguments.reload)
    return SpaceChildrenResult(children=children_of(events))


async def add_space_parent(
    client: Client, arguments: AddSpaceParentArguments
) -> AddSpaceParentResult:
    """Says which space a room belongs to; there is one main one."""
    room_id, space_id = arguments.room_id, arguments.space_id
    _check_link(space_id, room_id, arguments.via)
    content: dict[str, Any] = {"via": arguments.via or await via_servers(client, space_id)}
    if not arguments.canonical:
        event_id = await send_state(client, room_id, PARENT, space_id, content)
        return AddSpaceParentResult(event_id=event_id)
    async with client.lock(room_id + PARENT):
        content["canonical"] = True
        event_id = await send_state(client, room_id, PARENT, space_id, content)
        for other in parents_of(await find_events(client, room_id, PARENT, reload=True)):
            if other.canonical and other.space_id != space_id:
                await send_state(client, room_id, PARENT, other.space_id, {"via": other.via})
    return AddSpaceParentResult(event_id=event_id)


async def remove_space_parent(
    client: Client, arguments: RemoveSpaceParentArguments
) -> RemoveSpaceParentResult:
    """Takes back that a room belongs to a space."""
    event_id = await send_state(client, arguments.room_id, PARENT, arguments.space_id, {})
    return RemoveSpaceParentResult(event_id=event_id)


async def space_parents(client: Client, arguments: SpaceParentsArguments) -> SpaceParentsResult:
    """The spaces that a room names."""
    events = await find_events(client, arguments.room_id, PARENT, reload=arguments.reload)
    return SpaceParentsResult(parents=parents_of(events))


async def space_hierarchy(
    client: Client, arguments: SpaceHierarchyArguments
) -> SpaceHierarchyResult:
    """A page of what is in a space, all the way down."""
    query = []
    for name, least in (("limit", 1), ("max_depth", 0)):
        value = getattr(arguments, name)
        if value is not None:
            if value < least:
                raise ArgumentError(f"{name}: must be at least {least}")
            query.append((name, str(value)))
    if arguments.suggested_only:
        query.append(("suggested_only", "true"))
    if arguments.from_token is not None:
        query.append(("from", arguments.from_token))
    path = make_path("rooms", arguments.space_id, "hierarchy", prefix=_V1)
    page = decode(await client.api.call("GET", path, query=query), _Hierarchy)
    rooms = [_room(chunk) for chunk in read_chunks(client, page.rooms)]
    return SpaceHierarchyResult(rooms=rooms, next_batch=page.next_batch)


def _room(chunk: Chunk) -> SpaceRoom:
    return SpaceRoom(**fields(chunk), children=children_of(told_children(chunk.children_state)))


def _check_link(space_id: str, room_id: str, via: list[str] | None) -> None:
    check_room_id(space_id, "space_id")
    check_room_id(room_id)
    if space_id == room_id:
        raise ArgumentError("room_id: a space cannot be in itself")
    if via is not None and not all(via):
        raise ArgumentError("via: must be names of servers")
    if via == []:
        raise ArgumentError("via: must name a server, or be left out")
