"""Frames to the host: how they are laid out, and the outbox that posts many at a time."""

from __future__ import annotations

import asyncio
from array import array
from struct import Struct

from msgspec import Raw

from libmatrix.bridge import Bridge

RESULT = 1
PROGRESS = 2
EVENT = 3
CALL = 4
LOG = 5
MARK = 6
CLOSED = 7
RUN = 8

OK = 1
HISTORIC = 1
FILLED = 2

# struct matrix_frame and struct matrix_run of bridge.h.
_HEADER = Struct("=IHHQQQ")
_RUN = Struct("=IIII")
_pack = _HEADER.pack
_NUL = b"\0"

# Posted early beyond this, so that the host works while the runtime does.
_MOST_PARTS = 3 * 1024
_MOST_BYTES = 1 << 20


def frame(
    kind: int, context: int, target: int, payload: bytes, flags: int = 0, extra: int = 0
) -> bytes:
    """One frame: header, payload, NUL."""
    return _pack(len(payload), kind, flags, context, target, extra) + payload + _NUL


def run(
    context: int,
    flags: int,
    room_id: str,
    user_id: str,
    deliveries: list[int] | array[int],
    raws: list[Raw],
) -> tuple[int, list[bytes | Raw]]:
    """The frame of a run: its bytes in all, and its parts, which are to be joined.

    `deliveries` holds a subscription and the place of its event in `raws` by turns.
    """
    room, user = room_id.encode(), user_id.encode()
    sizes = array("I", map(len, raws))
    count = len(deliveries) // 2
    names = b"%b\0%b\0" % (room, user)
    size = _RUN.size + 16 * count + 4 * len(sizes) + len(names) + sum(sizes)
    head = _pack(size, RUN, flags, context, 0, count)
    run_head = _RUN.pack(count, len(sizes), len(room), len(user))
    where = array("Q", deliveries).tobytes()
    return len(head) + size + 1, [head, run_head, where, sizes.tobytes(), names, *raws, _NUL]


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
        else:
            self._flush_soon()

    def _flush_soon(self) -> None:
        """Posts in the loop's next turn what is queued by then."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._turn_ended)

    def flush(self) -> None:
        """Posts what is queued now."""
        if self._parts:
            block = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self._post(block)

    def post_events(self, frames: list[bytes | Raw]) -> bool:
        """Posts event frames after all that is queued; True when the host should catch up first."""
        self.flush()
        return self._post(b"".join(frames))

    def _turn_ended(self) -> None:
        self._is_scheduled = False
        self.flush()
