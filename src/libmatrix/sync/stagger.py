"""First syncs, some at a time: hundreds of clients that start together do not all ask at once."""

from __future__ import annotations

import asyncio

_AT_ONCE = 4
# A slow server keeps others waiting no longer than this.
_LONGEST_SECONDS = 10.0


class Stagger:
    """The places for first syncs, shared by all clients of the process."""

    def __init__(self, at_once: int = _AT_ONCE, longest_seconds: float = _LONGEST_SECONDS) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._longest_seconds = longest_seconds

    async def enter(self) -> Place:
        """Waits for a place."""
        await self._places.acquire()
        return Place(self._places, self._longest_seconds)


class Place:
    """A place among the first syncs, given back by `leave` or after the longest time."""

    def __init__(self, places: asyncio.Semaphore, longest_seconds: float) -> None:
        self._places = places
        self._is_held = True
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(longest_seconds, self.leave)

    def leave(self) -> None:
        """Gives it back; only the first call counts."""
        if self._is_held:
            self._is_held = False
            self._timer.cancel()
            self._places.release()
