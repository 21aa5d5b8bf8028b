"""Which stores have their file open: those that rest do not, so that many clients cost little."""

from __future__ import annotations

import asyncio
from typing import Protocol

_MOST = 64
_IDLE_SECONDS = 2.0
# To close one can take the disk a while, so they are closed a few at a time.
_AT_ONCE = 4
_BREATH_SECONDS = 0.02


class Resting(Protocol):
    """A store as it is seen from here."""

    was_used: bool

    def rest(self) -> bool:
        """Closes the file until it is needed; False while it is in use."""


class StoreFiles:
    """The open files of all stores of the process."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        most: int = _MOST,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        self._loop = loop
        self._most = most
        self._idle_seconds = idle_seconds
        # In the order in which they were opened.
        self._open: dict[Resting, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def opened(self, store: Resting) -> None:
        """Takes note of an open file, and closes others when there are too many."""
        self._open[store] = None
        for other in list(self._open):
            if len(self._open) <= self._most:
                break
            if other is not store:
                self._rest(other)
        if self._timer is None:
            self._timer = self._loop.call_later(self._idle_seconds, self._sweep)

    def closed(self, store: Resting) -> None:
        """Forgets a store."""
        self._open.pop(store, None)

    def _rest(self, store: Resting) -> None:
        if store.rest():
            del self._open[store]

    def _sweep(self) -> None:
        """Closes what was not used since the last time."""
        idle = [store for store in self._open if not store.was_used]
        for store in idle[:_AT_ONCE]:
            self._rest(store)
        if idle[_AT_ONCE:]:
            pause = _BREATH_SECONDS
        else:
            pause = self._idle_seconds
            for store in self._open:
                store.was_used = False
        self._timer = self._loop.call_later(pause, self._sweep) if self._open else None
