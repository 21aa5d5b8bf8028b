"""Typing: what a room is told lapses, so it is told again for as long as it is true."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from libmatrix.api import make_path
from libmatrix.backoff import LONGEST_RETRY_AFTER_MS
from libmatrix.errors import MatrixError
from libmatrix.tasks import time_limit

if TYPE_CHECKING:
    from libmatrix.client import Client

# The share of the time after which it is said again.
_REFRESH = 0.6
# Refusals of this moment: too much, or too slow.
_PASSING = frozenset({408, 429})


class _Room:
    """Whether the user types in one room; requests go one after the other."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        # Set when the typing that it belongs to has ended.
        self.ended: asyncio.Event | None = None
        self.timeout_ms = 0


_rooms: WeakKeyDictionary[Client, dict[str, _Room]] = WeakKeyDictionary()


def _room(client: Client, room_id: str) -> _Room:
    return _rooms.setdefault(client, {}).setdefault(room_id, _Room())


async def start(client: Client, room_id: str, timeout_ms: int) -> None:
    """Says that the user types, until `stop`; nothing when it is being said already."""
    room = _room(client, room_id)
    if room.ended is not None and room.timeout_ms == timeout_ms:
        return
    _end(room)
    ended = room.ended = asyncio.Event()
    room.timeout_ms = timeout_ms
    try:
        async with room.lock:
            if not ended.is_set():
                await _tell(client, room_id, timeout_ms)
    except BaseException:
        if room.ended is ended:
            _end(room)
        raise
    if not ended.is_set():
        client.run_beside(_repeat(client, room_id, room, ended))


async def stop(client: Client, room_id: str) -> None:
    """Says that the user types no more."""
    room = _room(client, room_id)
    _end(room)
    async with room.lock:
        if room.ended is None:
            await _tell(client, room_id, None)
    if room.ended is None and not room.lock.locked():
        _rooms[client].pop(room_id, None)


def _end(room: _Room) -> None:
    if room.ended is not None:
        room.ended.set()
        room.ended = None


async def _repeat(client: Client, room_id: str, room: _Room, ended: asyncio.Event) -> None:
    """Says it again in time. The homeserver that is away hears it when it is back."""
    asked_ms = 0
    while True:
        try:
            async with time_limit(max(room.timeout_ms * _REFRESH, asked_ms) / 1000):
                await ended.wait()
            return
        except TimeoutError:
            pass
        known = client.state.rooms.get(room_id)
        if not client.session.is_logged_in or (known and known.membership != "join"):
            break
        asked_ms = 0
        try:
            async with room.lock:
                if not ended.is_set():
                    await _tell(client, room_id, room.timeout_ms)
        except MatrixError as error:
            asked_ms = min(error.retry_after_ms or 0, LONGEST_RETRY_AFTER_MS)
            status = error.http_status or 0
            if 400 <= status < 500 and status not in _PASSING:
                break
    if room.ended is ended:
        _end(room)


async def _tell(client: Client, room_id: str, timeout_ms: int | None) -> None:
    path = make_path("rooms", room_id, "typing", await client.syncer.user_id())
    body: dict[str, bool | int] = {"typing": timeout_ms is not None}
    if timeout_ms is not None:
        body["timeout"] = timeout_ms
    await client.api.call("PUT", path, body=body)
