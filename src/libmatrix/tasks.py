"""How coroutines run: at once and without a task, as long as that is enough.

A task costs as much as a small request does, and each of its waits a turn of the loop. So
operations and what sends for them begin by hand. What waits for a `Signal` goes on at once when
that is set; what waits for anything else becomes a task there and then.
"""

from __future__ import annotations

import asyncio
import threading
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from typing import Any, cast

# What came of a coroutine: a value, or an error.
Ended = Callable[[Any, BaseException | None], None]

_Coroutine = Coroutine[Any, Any, Any]


class _Here(threading.local):
    """Of this thread."""

    # A coroutine is being run by hand, so there is no task; to ask asyncio is slower.
    is_by_hand = False


_here = _Here()


def run_by_hand(coroutine: _Coroutine) -> Any:
    """Runs a coroutine up to its next wait and returns that; raises as its `send`."""
    outer, _here.is_by_hand = _here.is_by_hand, True
    try:
        return coroutine.send(None)
    finally:
        _here.is_by_hand = outer


@types.coroutine
def in_task() -> Generator[None, None, None]:
    """Makes sure that there is a task, as `asyncio.timeout` needs one."""
    if _here.is_by_hand or asyncio.current_task() is None:
        yield


@asynccontextmanager
async def time_limit(seconds: float) -> AsyncIterator[None]:
    """`asyncio.timeout`, for what may not be a task yet."""
    await in_task()
    async with asyncio.timeout(seconds):
        yield


class Signal:
    """What one coroutine waits for. Set before the wait, there is none."""

    __slots__ = ("_wake", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        self._wake: Callable[[], None] | None = None

    def set(self) -> None:
        """Lets the coroutine go on: one without a task before this returns."""
        self.is_set = True
        wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    def __await__(self) -> Generator[Any, None, None]:
        """Returns when it is set."""
        if self.is_set:
            return
        if _here.is_by_hand or asyncio.current_task() is None:
            yield self
        else:
            yield from self.future(asyncio.get_running_loop())

    def then(self, wake: Callable[[], None]) -> None:
        """What is called when it is set."""
        self._wake = wake

    def future(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """The same for a task to wait for."""
        future: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not future.done():
                future.set_result(None)

        if self.is_set:
            wake()
        else:
            self._wake = wake
        return future


class Runner:
    """Runs a coroutine."""

    __slots__ = (
        "_coroutine",
        "_ended",
        "_is_cancelled",
        "_is_running",
        "_loop",
        "_signal",
        "_task",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, coroutine: _Coroutine, ended: Ended
    ) -> None:
        """`ended` is called once; `start` or `wait_for` has to follow."""
        self._loop = loop
        self._coroutine = coroutine
        self._ended = ended
        self._is_running = self._is_cancelled = False
        self._signal: Signal | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Runs up to the first wait."""
        self._go_on()

    def wait_for(self, waits_for: Any) -> None:
        """Goes on when that is there for which the coroutine waits, as its `send` returned it."""
        self._is_running = False
        if isinstance(waits_for, Signal):
            self._signal = waits_for
            waits_for.then(self._go_on)
        else:
            self._task = self._make_task(waits_for)
        if self._is_cancelled:
            self.as_task().cancel()

    def cancel(self) -> None:
        """As of a task: the coroutine hears of it in a turn of its own."""
        if self._is_running:
            self._is_cancelled = True
        else:
            self.as_task().cancel()

    def as_task(self) -> asyncio.Task[None]:
        """The task that it goes on as; not to be asked of itself."""
        if self._task is None:
            signal, self._signal = self._signal, None
            self._task = self._make_task(signal and signal.future(self._loop))
        return self._task

    # -- inside -------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._task is not None:
            return
        if not _here.is_by_hand and asyncio.current_task(self._loop) is not None:
            # Not within somebody else's task, for whose it would take it.
            self._loop.call_soon(self._go_on)
            return
        self._signal = None
        self._is_running = True
        try:
            waits_for = run_by_hand(self._coroutine)
        except StopIteration as end:
            self._ended(end.value, None)
        except BaseException as error:
            self._ended(None, error)
        else:
            self.wait_for(waits_for)

    def _make_task(self, waits_for: Any) -> asyncio.Task[None]:
        rest = self._rest(waits_for)
        # Begun by hand, so that a cancel before the task's first step is heard by the coroutine.
        rest.send(None)
        return self._loop.create_task(rest)

    async def _rest(self, waits_for: Any) -> None:
        try:
            value = await _resume(self._coroutine, waits_for)
        except GeneratorExit:
            # The runtime is gone, and nobody is there to be told.
            raise
        except BaseException as error:
            self._ended(None, error)
        else:
            self._ended(value, None)


@types.coroutine
def _resume(coroutine: _Coroutine, waits_for: Any) -> Generator[Any, None, Any]:
    """Goes on with a coroutine that waits for something although it was in no task yet."""
    # The first, of nothing, ends when the task begins.
    waits = [None] if waits_for is None else [None, waits_for]
    while True:
        try:
            yield from waits
        except BaseException as error:
            try:
                waits = [coroutine.throw(error)]
            except StopIteration as end:
                return cast(Any, end.value)
        else:
            return (yield from coroutine)
