"""A Lua program with one client, told line by line what to do: tests interleave it with others."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lua.interpreters import INTERPRETERS, environment
from tests.support.homeserver import Account, Homeserver

SCRIPT = Path(__file__).resolve().parents[1] / "homeserver" / "lua" / "drive.lua"
_SECONDS = 60
_LUA = next(lua for lua in INTERPRETERS if lua.name == "lua5.4")


class Driver:
    """The program. `events` holds what it heard and nobody has taken yet, as (name, payload)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.events: list[tuple[str, dict[str, Any]]] = []

    def do(self, line: str, *values: Any) -> dict[str, Any]:
        """Runs an expression, its %s replaced by Lua strings; gives the payload, also of errors."""
        assert self._process.stdin and self._process.stdout
        texts = tuple(json.dumps(value, ensure_ascii=False) for value in values)
        self._process.stdin.write((line % texts if values else line) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"{line}: the program ended with {self._process.wait(_SECONDS)}"
        found = json.loads(answer)
        self.events += [(name, event) for name, event in found["events"]]
        return dict(found["result"] or {})

    def get(self, line: str, *values: Any) -> dict[str, Any]:
        """The same for a call that must succeed."""
        result = self.do(line, *values)
        assert result.get("ok"), f"{line}: {result}"
        return result

    def hear(self, kind: str, filters: str = "{}", name: str | None = None) -> None:
        """Hears a kind of event from now on."""
        self.do(f"tools.hear({json.dumps(name or kind)}, {json.dumps(kind)}, {filters})")

    def sync(self, options: str = "{}") -> dict[str, Any]:
        """One sync."""
        return self.get("client:sync_once(" + options + ")")

    def sync_until(
        self, name: str, count: int = 1, wanted: Callable[[dict[str, Any]], bool] = bool
    ) -> list[dict[str, Any]]:
        """Syncs until so many wanted events were heard under the name, and takes all of it."""
        deadline = time.monotonic() + _SECONDS
        while len([event for event in self.heard(name) if wanted(event)]) < count:
            assert time.monotonic() < deadline, self.events
            self.sync("{ timeout_ms = 2000 }")
        return self.take(name)

    def until(self, holds: Callable[[], Any]) -> None:
        """Lets the program hear, until something holds."""
        deadline = time.monotonic() + _SECONDS
        while not holds():
            assert time.monotonic() < deadline, self.events
            self.get("client:ping({ delay_ms = 20 })")

    def heard(self, name: str) -> list[dict[str, Any]]:
        """What was heard under a name."""
        return [event for each, event in self.events if each == name]

    def take(self, name: str) -> list[dict[str, Any]]:
        """The same, and forgets it."""
        found = self.heard(name)
        self.events = [each for each in self.events if each[0] != name]
        return found

    def room(self, room_id: str) -> dict[str, Any] | None:
        """A room as it is listed."""
        rooms = self.get("client:rooms()")["rooms"]
        return next((room for room in rooms if room["room_id"] == room_id), None)


def _launch(stage: Path, options: dict[str, str]) -> subprocess.Popen[str]:
    given = {f"DRIVE_{name.upper()}": value for name, value in options.items() if value}
    return subprocess.Popen(
        [_LUA.program, SCRIPT],
        env=environment(stage, _LUA.abi) | given,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def driver(
    stage: Path,
    server: Homeserver,
    account: Account,
    store: Path | None = None,
    **options: str,
) -> Iterator[Driver]:
    """A driver logged in as the account; ends with the `with` block."""
    given = {
        "homeserver": server.url,
        "user_id": account.user_id,
        "device_id": account.device_id,
        "access_token": account.token,
        **options,
    }
    if store is not None:
        given["store_path"] = str(store)
    with _launch(stage, given) as process:
        try:
            yield Driver(process)
        finally:
            assert process.stdin
            process.stdin.close()
            try:
                process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert process.returncode == 0
