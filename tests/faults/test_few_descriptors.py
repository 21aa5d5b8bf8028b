"""A C host that runs out of file descriptors: an error for what needs one, and no haste."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.bad_homeserver import BadHomeserver

SHORT = "E_TOO_MANY_FILES"


class Host:
    """The program, what it is told and what it says."""

    def __init__(self, program: Path, url: str, stores: Path) -> None:
        self._process = subprocess.Popen(
            [program, url, stores], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._changed = threading.Condition()
        self.lines: list[list[str]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line.split())
                self._changed.notify_all()

    def tell(self, word: str) -> int:
        """Has a word obeyed; how many lines there were then."""
        assert self._process.stdin is not None
        before = self.lines.count(["done", word])
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        self.until(lambda: self.lines.count(["done", word]) > before)
        return len(self.lines)

    def until(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, 30), self.lines[-20:]

    def states(self, start: int = 0) -> list[tuple[str, str]]:
        """Number and state of all that was said from a line on."""
        return [(line[1], line[2]) for line in self.lines[start:] if line[0] == "state"]

    def codes(self, start: int = 0) -> set[str]:
        """Why loops wait."""
        wait = [line for line in self.lines[start:] if line[0] == "state"]
        return {line[4] for line in wait if line[2] == "reconnecting"}

    def end(self) -> int:
        """Lets it end; the CPU time it took, in ms."""
        assert self._process.stdin is not None
        self._process.stdin.write("end\n")
        self._process.stdin.close()
        assert self._process.wait(30) == 0
        self._reader.join()
        return int(self.lines[-1][1])

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()


@pytest.fixture
def server() -> Iterator[BadHomeserver]:
    with BadHomeserver([]) as running:
        yield running


@pytest.fixture
def host(
    compile_host: Callable[..., Path], server: BadHomeserver, tmp_path: Path
) -> Iterator[Host]:
    running = Host(compile_host("few_descriptors"), server.url, tmp_path)
    yield running
    running.kill()


def check_pauses(host: Host, start: int, began: float) -> None:
    """Each loop has sat out every pause but the one that is under way."""
    took_ms = (time.monotonic() - began) * 1000
    pauses: dict[str, list[int]] = {}
    for line in host.lines[start:]:
        if line[0] == "state" and line[2] == "reconnecting":
            pauses.setdefault(line[1], []).append(int(line[3]))
    for each in pauses.values():
        assert min(each) >= 50
        assert sum(each[:-1]) <= took_ms


def test_loops_wait_and_go_on(host: Host, server: BadHomeserver) -> None:
    clients = 4
    for _ in range(clients):
        host.tell("start")
    syncing = {(str(number), "syncing") for number in range(clients)}
    host.until(lambda: set(host.states()) >= syncing)
    began = time.monotonic()
    start = host.tell("none")
    # Their connections are gone, and there is nothing to make new ones of.
    server.stop()
    server.start()
    host.until(lambda: len(host.states(start)) >= 5 * clients)
    check_pauses(host, start, began)
    assert SHORT in host.codes(start)
    start = host.tell("some")
    host.until(lambda: set(host.states(start)) >= syncing)
    assert host.end() < 5_000


def test_a_client_says_what_it_lacks_and_can_be_asked_again(host: Host) -> None:
    host.tell("start")
    host.until(lambda: ("0", "syncing") in host.states())
    host.tell("none")
    for _ in range(3):
        host.tell("start")
    host.until(lambda: host.lines.count(["failed", SHORT]) == 3)
    host.tell("again")
    host.until(lambda: host.lines.count(["failed", SHORT]) == 4)
    # The first goes on all the while, and what lacked something can be asked again.
    host.tell("some")
    host.tell("again")
    host.until(lambda: ("3", "syncing") in host.states())
    assert [state for state in host.states() if state[0] == "0"] == [("0", "syncing")]
    host.end()
