"""Matrix clients of other people's make: matrix-js-sdk with its Rust crypto, in a Node.js process.

    alice = foreign_client(account)              # logged in, synced, its device keys uploaded
    room_id = alice.create_room(invite=[bob.user_id])
    bob.join(room_id=room_id)
    event_id = alice.send(room_id=room_id, body="hi")
    assert bob.wait_message(room_id=room_id, event_id=event_id)["shield"] == "NONE"

The commands and their arguments are those of `tests/foreign/*.mjs`. A command that fails raises
`ForeignError`. One process serves all clients of a test module.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from tests.support.homeserver import Account, Homeserver

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "build" / "foreign" / "node_modules"
NODE = ROOT / "build" / "foreign" / "node"
MAIN = ROOT / "tests" / "foreign" / "main.mjs"
_SECONDS = 90.0


class ForeignError(Exception):
    """A command failed; `code` is the server's M_… code or the name of the SDK's error."""

    def __init__(self, message: str, code: str) -> None:
        self.code = code
        super().__init__(f"{message} ({code})")


class ForeignProcess:
    """The Node.js process. Commands may come from several threads and end in any order."""

    def __init__(self, log: Path) -> None:
        if not NODE.exists():
            raise RuntimeError("no foreign client yet: run `python3 packaging/bootstrap foreign`")
        self.log = log
        self._numbers = itertools.count(1)
        self._answers: dict[int, Queue[dict[str, Any]]] = {0: Queue()}
        self._lock = threading.Lock()
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [NODE, "--max-old-space-size=512", MAIN],
                env={**os.environ, "FOREIGN_MODULES": str(MODULES)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait(0)

    def call(self, client: str, command: str, **arguments: Any) -> Any:
        """Runs a command of a client to its end."""
        return self.submit(client, command, **arguments)()

    def submit(self, client: str, command: str, **arguments: Any) -> Callable[[], Any]:
        """Begins a command; what it gives waits for the end."""
        number = next(self._numbers)
        message = {"id": number, "client": client, "command": command, "arguments": arguments}
        assert self._process.stdin
        with self._lock:
            self._answers[number] = Queue()
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

        def wait() -> Any:
            answer = self._wait(number)
            if not answer["ok"]:
                told = f"{client} {command}: {answer['error']}; the log is {self.log}"
                raise ForeignError(told, answer["code"])
            return answer["result"]

        return wait

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            answer = json.loads(line)
            with self._lock:
                waiting = self._answers[answer["id"]]
            waiting.put(answer)

    def _wait(self, number: int) -> dict[str, Any]:
        try:
            answer = self._answers[number].get(timeout=_SECONDS)
        except Empty:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])
            raise ForeignError(f"no answer; the log {self.log} ends with\n{tail}", "") from None
        with self._lock:
            del self._answers[number]
        return answer

    def close(self) -> None:
        """Ends the process, and with it all its clients."""
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            self._reader.join(10)


class ForeignClient:
    """One client. Every command is a method: `client.send(room_id=…, body=…)`."""

    def __init__(self, process: ForeignProcess, name: str, account: Account) -> None:
        self._process = process
        self._name = name
        self.account = account
        self.user_id = account.user_id
        self.device_id = account.device_id

    def __getattr__(self, command: str) -> Callable[..., Any]:
        if command.startswith("_"):
            raise AttributeError(command)
        return lambda **arguments: self._process.call(self._name, command, **arguments)

    def begin(self, command: str, **arguments: Any) -> Callable[[], Any]:
        """Starts a command whose end something else brings about; call the result to wait."""
        return self._process.submit(self._name, command, **arguments)

    def until(self, check: Callable[[Any], Any], command: str, **arguments: Any) -> Any:
        """Repeats a command until the check is content with what it gives, and gives that."""
        end = time.monotonic() + _SECONDS
        while True:
            found = self._process.call(self._name, command, **arguments)
            if check(found):
                return found
            assert time.monotonic() < end, f"{self._name} {command}: still {found}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def foreign_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignProcess]:
    """The process that the foreign clients of a module live in."""
    process = ForeignProcess(tmp_path_factory.mktemp("foreign") / "foreign.log")
    yield process
    process.close()


@pytest.fixture
def foreign_client(
    homeserver: Homeserver, foreign_process: ForeignProcess
) -> Iterator[Callable[..., ForeignClient]]:
    """`foreign_client(account)`: a client with that account's session, syncing.

    A second client of the same user needs a session of its own: `homeserver.login(…)` makes one.
    With `start=False` it has encryption, but does not sync and has uploaded nothing. Further
    arguments are those of the command `open`.
    """
    made: list[ForeignClient] = []

    def make(account: Account, *, start: bool = True, **more: Any) -> ForeignClient:
        client = ForeignClient(foreign_process, f"{account.user_id}/{account.device_id}", account)
        client.open(
            homeserver=homeserver.url,
            user_id=account.user_id,
            device_id=account.device_id,
            access_token=account.token,
            password=account.password,
            **more,
        )
        made.append(client)
        if start:
            client.start()
        return client

    yield make
    for client in made:
        client.stop()
