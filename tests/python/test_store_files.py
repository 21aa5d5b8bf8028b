"""Stores at rest: one descriptor each, locked all the same, and there again when needed."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from libmatrix.auth.session import Session
from libmatrix.errors import StoreError, StoreLockedError
from libmatrix.store.file import Store
from libmatrix.store.files import StoreFiles
from libmatrix.store.state import State

FILE = "libmatrix.sqlite3"
LOCK = "libmatrix.lock"


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def none_left() -> Iterator[None]:
    """No descriptor can be had inside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    running = asyncio.new_event_loop()
    yield running
    running.close()


def until_rest(loop: asyncio.AbstractEventLoop, before: int, count: int) -> None:
    async def rested() -> None:
        while descriptors() - before > count:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    loop.run_until_complete(asyncio.wait_for(rested(), 20))


def test_at_rest_it_takes_one_descriptor(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    before = descriptors()
    state = State(str(tmp_path), files=StoreFiles(loop, idle_seconds=0.01))
    state.keep_session(Session(user_id="@a:x"))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [LOCK, FILE, FILE + "-wal"]
    assert descriptors() - before == 3
    until_rest(loop, before, 1)
    # What it holds is in the file alone, and it is there again.
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK, FILE]
    for _ in range(2):
        state.load()
        assert state.session.user_id == "@a:x"
        until_rest(loop, before, 1)
    state.close()
    assert descriptors() == before


def test_at_rest_it_is_locked(tmp_path: Path) -> None:
    state = State(str(tmp_path))
    assert state._store.rest()
    with pytest.raises(StoreLockedError):
        State(str(tmp_path))
    code = (
        "import sys\nfrom libmatrix.store.state import State\n"
        "from libmatrix.errors import StoreLockedError\n"
        "try: State(sys.argv[1])\nexcept StoreLockedError: print('locked')"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout == "locked\n"
    state.close()
    State(str(tmp_path)).close()


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    """The host may fork a worker that outlives the client."""
    code = (
        "import os, sys, time\nfrom libmatrix.store.state import State\n"
        "state = State(sys.argv[1])\n"
        "if os.fork() == 0:\n    sys.stdin.read(1); os._exit(0)\n"
        "print('forked', flush=True)\nsignal = sys.argv[2]\nos.kill(os.getpid(), int(signal))"
    )
    reading, writing = os.pipe()
    host = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(int(signal.SIGKILL))],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=reading,
    )
    os.close(reading)
    assert host.wait(30) == -signal.SIGKILL
    State(str(tmp_path)).close()
    os.close(writing)


def test_only_so_many_are_open(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    before = descriptors()
    files = StoreFiles(loop, most=2, idle_seconds=60)
    stores = [Store(str(tmp_path / str(number)), files) for number in range(6)]
    # A lock each, and two files for each of those that are open.
    assert descriptors() - before <= 6 + 2 * 2
    for number, store in enumerate(stores * 2):
        store.put_meta("number", b"%d" % number)
        assert store.meta("number") == b"%d" % number
    assert descriptors() - before <= 6 + 2 * 2
    for store in stores:
        store.close()
    assert descriptors() == before


def test_it_does_not_rest_in_a_transaction(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    files = StoreFiles(loop, most=1, idle_seconds=60)
    one, other = (Store(str(tmp_path / name), files) for name in ("one", "other"))
    with one.transaction() as writer:
        writer.meta("a", b"1")
        assert not one.rest()
        other.put_meta("b", b"2")
        writer.meta("c", b"3")
    assert (one.meta("a"), one.meta("c"), other.meta("b")) == (b"1", b"3", b"2")
    one.close()
    other.close()


def test_a_store_that_went_away_is_not_begun_anew(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.put_meta("a", b"1")
    assert store.rest()
    (tmp_path / FILE).unlink()
    for _ in range(2):
        with pytest.raises(StoreError):
            store.meta("a")
    assert not (tmp_path / FILE).exists()
    store.close()


def test_without_descriptors(tmp_path: Path) -> None:
    with none_left(), pytest.raises(StoreError) as new:
        State(str(tmp_path / "new"))
    state = State(str(tmp_path / "old"))
    state.keep_session(Session(user_id="@a:x"))
    assert state._store.rest()
    with none_left(), pytest.raises(StoreError) as old:
        state.account_data("", "m.direct")
    assert {new.value.code, old.value.code} == {"E_TOO_MANY_FILES"}
    # Both go on when there are some again.
    state.load()
    assert state.session.user_id == "@a:x"
    state.close()
    State(str(tmp_path / "new")).close()


def test_rooms_that_could_not_be_read_are_read_later(tmp_path: Path) -> None:
    """A sync that came to nothing must not become an initial one for lack of a descriptor."""
    state = State(str(tmp_path))
    state._store.put_meta("next_batch", b"s7")
    state.load()
    state._store.rest()
    with none_left():
        state.reload()
        with pytest.raises(StoreError, match="cannot be opened"):
            state.settle()
    assert state.next_batch == "s7"
    state.next_batch = "wrong"
    state.settle()
    assert state.next_batch == "s7"
    state.close()
