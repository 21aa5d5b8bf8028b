"""Frames to the host: how they are laid out, and the outbox that posts many at a time."""

from __future__ import annotations

import asyncio
from struct import Struct

from libmatrix.bridge import Bridge

RESULT = 1
PROGRESS = 2
EVENT = 3
CALL = 4
LOG = 5
MARK = 6
CLOSED = 7

OK = 1

# struct matrix_frame of bridge.h.
_HEADER = Struct("=IHHQQQ")
pack_head = _pack = _HEADER.pack
NUL = _NUL = b"\0"

# Posted early beyond this, so that the host works while the runtime does.
_MOST_PARTS = 3 * 1024
_MOST_BYTES = 1 << 20


def frame(
    kind: int, context: int, target: int, payload: bytes, flags: int = 0, extra: int = 0
) -> bytes:
    """One frame: header, payload, NUL."""
    return _pack(len(payload), kind, flags, context, target, extra) + payload + _NUL


class Outbox:
    """Collects frames and posts them together at the end of the loop's turn."""

    def __init__(self, bridge: Bridge, loop: asyncio.AbstractEventLoop) -> None:
        self._post = bridge.post
        self._loop = loop
        self._parts: list[bytes] = []
        self._size = 0
        self._is_scheduled = False

    def add(
        self,
        kind: int,
        context: int,
        target: int,
        payload: bytes = b"",
        flags: int = 0,
        extra: int = 0,
    ) -> None:
        """Queues a frame; the order of the calls is kept."""
        size = len(payload)
        parts = self._parts
        parts += (_pack(size, kind, flags, context, target, extra), payload, _NUL)
        self._size += size
        if len(parts) > _MOST_PARTS or self._size > _MOST_BYTES:
            self.flush()
        elif not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._turn_ended)

    def flush(self) -> None:
        """Posts what is queued now."""
        if self._parts:
            block = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self._post(block)

    def post_events(self, frames: list[bytes]) -> bool:
        """Posts event frames after all that is queued; True when the host should catch up first."""
        self.flush()
        return self._post(b"".join(frames))

    def _turn_ended(self) -> None:
        self._is_scheduled = False
        self.flush()
