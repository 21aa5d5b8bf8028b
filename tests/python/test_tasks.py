"""Coroutines that run by hand until they wait for more than a signal."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from libmatrix.tasks import Runner, Signal, in_task

Ends = list[tuple[Any, BaseException | None]]


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """As a callback of a loop, where no task is."""
    loop = asyncio.new_event_loop()
    failures: list[BaseException] = []

    def begin() -> None:
        Runner(loop, scene(), lambda _, error: failures.extend([error] if error else [])).start()

    try:
        loop.call_soon(begin)
        loop.call_later(20, loop.stop)
        loop.run_forever()
    finally:
        loop.close()
    assert not failures, failures


def runner(coroutine: Coroutine[Any, Any, Any], ends: Ends) -> Runner:
    started = Runner(
        asyncio.get_running_loop(), coroutine, lambda value, error: ends.append((value, error))
    )
    started.start()
    return started


def stop() -> None:
    asyncio.get_running_loop().stop()


async def wait(signal: Signal, value: str = "done") -> str:
    await signal
    return value


def test_a_signal_lets_a_coroutine_go_on_at_once() -> None:
    async def scene() -> None:
        ends: Ends = []
        signal = Signal()
        runner(wait(signal), ends)
        assert ends == []
        signal.set()
        assert ends == [("done", None)]
        signal.set()
        assert ends == [("done", None)]
        stop()

    run(scene)


def test_a_signal_set_before_is_no_wait() -> None:
    async def scene() -> None:
        ends: Ends = []
        signal = Signal()
        signal.set()
        runner(wait(signal), ends)
        assert ends == [("done", None)]
        stop()

    run(scene)


def test_a_task_may_wait_for_a_signal() -> None:
    async def scene() -> None:
        signal = Signal()
        task = asyncio.get_running_loop().create_task(wait(signal))
        await asyncio.sleep(0)
        signal.set()
        assert not task.done()
        assert await task == "done"
        stop()

    run(scene)


def test_what_needs_a_task_becomes_one() -> None:
    async def late(ends: list[str]) -> None:
        await in_task()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(20)
        ends.append("late")
        stop()

    ends: list[str] = []
    run(lambda: late(ends))
    assert ends == ["late"]


def test_does_not_run_within_the_task_of_another() -> None:
    async def scene() -> None:
        ends: Ends = []
        first, second = Signal(), Signal()

        async def waits_twice() -> str:
            await first
            await in_task()
            async with asyncio.timeout(20):
                await second
            return "done"

        runner(waits_twice(), ends)
        await in_task()
        # Run here, the time limit would be of this task.
        first.set()
        await asyncio.sleep(0.01)
        assert ends == []
        second.set()
        await asyncio.sleep(0.01)
        assert ends == [("done", None)]
        stop()

    run(scene)


def test_cancelled_while_it_waits_for_a_signal() -> None:
    async def scene() -> None:
        ends: Ends = []
        signal = Signal()
        started = runner(wait(signal), ends)
        started.cancel()
        # As with a task, not before the next turn.
        assert ends == []
        await asyncio.wait([started.as_task()])
        assert [type(error) for _, error in ends] == [asyncio.CancelledError]
        signal.set()
        assert len(ends) == 1
        stop()

    run(scene)


def test_cancelled_while_it_runs() -> None:
    async def scene() -> None:
        ends: Ends = []
        signal, own = Signal(), []

        async def cancels_itself() -> None:
            await signal
            own[0].cancel()
            try:
                await Signal()
            except asyncio.CancelledError:
                ends.append(("heard", None))
                raise

        own.append(runner(cancels_itself(), ends))
        signal.set()
        assert ends == []
        await asyncio.sleep(0.01)
        assert ends[0] == ("heard", None)
        assert isinstance(ends[1][1], asyncio.CancelledError)
        stop()

    run(scene)


def test_what_a_cancelled_one_catches_it_may_outlive() -> None:
    async def scene() -> None:
        ends: Ends = []
        signal = Signal()

        async def goes_on() -> str:
            try:
                await Signal()
            except asyncio.CancelledError:
                await signal
            return "done"

        runner(goes_on(), ends).cancel()
        await asyncio.sleep(0.01)
        assert ends == []
        signal.set()
        await asyncio.sleep(0.01)
        assert ends == [("done", None)]
        stop()

    run(scene)


def test_an_error_is_handed_on() -> None:
    async def scene() -> None:
        ends: Ends = []
        signal = Signal()

        async def fails() -> None:
            await signal
            raise ValueError("no")

        runner(fails(), ends)
        signal.set()
        assert [(value, str(error)) for value, error in ends] == [(None, "no")]
        stop()

    run(scene)


def test_limits_of_time_are_all_for_what_may_not_be_a_task() -> None:
    source = Path(__file__).parents[2] / "src" / "libmatrix"
    found = {file.name for file in source.rglob("*.py") if "asyncio.timeout(" in file.read_text()}
    assert found == {"tasks.py"}


def test_each_thread_runs_its_own_by_hand() -> None:
    """What runs in a task of one thread is not taken for what another runs by hand."""
    waits, goes_on = threading.Event(), threading.Event()

    async def waits_for_the_other() -> None:
        waits.set()
        assert goes_on.wait(20)

    thread = threading.Thread(target=lambda: run(both))

    async def both() -> None:
        await waits_for_the_other()
        stop()

    thread.start()
    assert waits.wait(20)
    signal = Signal()

    async def in_a_task() -> str:
        asyncio.get_running_loop().call_soon(signal.set)
        return await wait(signal)

    try:
        assert asyncio.run(in_a_task()) == "done"
    finally:
        goes_on.set()
        thread.join(20)
