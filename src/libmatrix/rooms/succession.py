"""Rooms that replace each other: tombstones forwards, m.room.create backwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.errors import HomeserverError
from libmatrix.events.head import content
from libmatrix.identifiers import server_of
from libmatrix.rooms.joining import enter
from libmatrix.rooms.state_events import fetch_content, fetch_event, is_missing

if TYPE_CHECKING:
    from libmatrix.client import Client

TOMBSTONE = "m.room.tombstone"
_CREATE = "m.room.create"
# No room that lives was replaced so often; who makes a chain of tombstones would have them joined.
_MOST_JOINS = 20


class _Tombstone(msgspec.Struct, gc=False):
    body: Any = None
    replacement_room: Any = None


class _Link(msgspec.Struct, gc=False):
    room_id: Any = None
    event_id: Any = None


class _Create(msgspec.Struct, gc=False):
    predecessor: _Link | None = None


class Successor(msgspec.Struct, gc=False):
    """What a tombstone says; fields of the wrong type count as absent."""

    room_id: str | None = None
    body: str | None = None
    via: list[str] = []


async def find_successor(client: Client, room_id: str) -> Successor:
    """What the homeserver says; empty when there is no tombstone."""
    try:
        said, sender = await fetch_event(client, room_id, TOMBSTONE, "")
    except HomeserverError as error:
        if is_missing(error):
            return Successor()
        raise
    found = content(said, _Tombstone)
    successor = _text(found.replacement_room)
    # Who ended the room is in the new one; an id names a server only before version 12.
    servers = (server_of(sender), server_of(successor or ""))
    via = list(dict.fromkeys(server for server in servers if server))
    return Successor(room_id=successor, body=_text(found.body), via=via)


async def find_predecessor(client: Client, room_id: str) -> tuple[str | None, str | None]:
    """The room that one replaces and its last event, where they are said."""
    said: Raw = await fetch_content(client, room_id, _CREATE, "")
    link = content(said, _Create).predecessor or _Link()
    return _text(link.room_id), _text(link.event_id)


async def join_newest(client: Client, room_id: str, reason: str | None) -> str:
    """Joins what replaced a room, and what replaced that; returns the last one joined.

    Raises `HomeserverError`.
    """
    joined, seen = room_id, {room_id}
    for _ in range(_MOST_JOINS):
        successor = await find_successor(client, joined)
        if successor.room_id is None or successor.room_id in seen:
            break
        seen.add(successor.room_id)
        try:
            next_id = await enter(client, "join", successor.room_id, successor.via, reason)
        except HomeserverError:
            # One that is closed does not take away the one before it.
            if joined == room_id:
                raise
            break
        joined = next_id
    if joined == room_id:
        raise HomeserverError("no room has replaced this one", code="M_NOT_FOUND")
    return joined


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
