"""What requests wait for: a client that was just made, whose sealed store is being opened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from libmatrix.tasks import Signal


class Preparation:
    """Goes on beside; requests that came meanwhile begin when it is done, in their order."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[None, None, None],
        done: Callable[[], None],
    ) -> None:
        """`done` is called when nobody waits any more."""
        self._waiting: list[Signal] = []
        self._done = done
        self.is_closing = False
        self._task = loop.create_task(work)
        # Not within the task: what begins there would begin later.
        self._task.add_done_callback(self._ended)

    async def ready(self) -> None:
        """Returns when it is done."""
        signal = Signal()
        self._waiting.append(signal)
        await signal

    async def finish(self, seconds: float) -> None:
        """The client is being closed: lets the requests begin that wait, if it takes no longer."""
        self.is_closing = True
        if self._waiting:
            await asyncio.wait([self._task], timeout=seconds)

    def close(self) -> list[asyncio.Task[None]]:
        """Stops it; returns its task."""
        self._task.cancel()
        return [self._task]

    def _ended(self, _: asyncio.Task[None]) -> None:
        waiting, self._waiting = self._waiting, []
        for signal in waiting:
            signal.set()
        # Only now, so that nothing that comes meanwhile goes before them.
        self._done()
