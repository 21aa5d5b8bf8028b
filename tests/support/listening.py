"""The C host that syncs, tests/faults/c/syncing.c, and what it prints of what it hears."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SECONDS = 60


@dataclass
class Heard:
    """What it printed: the words behind the first one of each line."""

    messages: list[str]
    devices: list[str]
    states: list[list[str]]
    syncs: list[list[str]]

    @classmethod
    def of(cls, lines: list[str]) -> Heard:
        """Reads the lines."""
        words = [line.rstrip("\n").split(" ") for line in lines]
        return cls(
            [line[1] for line in words if line[0] == "message"],
            [line[1] for line in words if line[0] == "device"],
            [line[1:] for line in words if line[0] == "state"],
            [line[1:] for line in words if line[0] == "sync"],
        )

    @property
    def pauses(self) -> list[int]:
        """How long it waited before each new attempt, in ms."""
        return [int(state[1]) for state in self.states if state[0] == "reconnecting"]


class Listener:
    """It while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []

    def until(self, *words: str) -> None:
        """Reads until a line begins with these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if tuple(line.split()[: len(words)]) == words:
                return
        raise AssertionError(f"it ended without {words}: {self.lines}")

    def finish(self) -> Heard:
        """What it printed up to its end, which must be a good one."""
        assert self.process.stdout is not None
        self.lines += self.process.stdout
        assert self.process.wait(_SECONDS) == 0
        return Heard.of(self.lines)


def _words(messages: int, loop: Any, client: Any) -> list[str]:
    return [str(messages), json.dumps(loop), json.dumps(client)]


def _env(url: str, token: str) -> dict[str, str]:
    return {"MATRIX_HOMESERVER": url, "MATRIX_TOKEN": token}


@contextmanager
def listening(
    program: Path,
    url: str,
    messages: int,
    *,
    token: str = "token",
    loop: dict[str, Any] | None = None,
    client: dict[str, Any] | None = None,
    **env: str,
) -> Iterator[Listener]:
    """Runs it until it has heard so many messages, with options of the loop and the client."""
    process = subprocess.Popen(
        [program, *_words(messages, loop or {}, client or {})],
        env={**os.environ, **_env(url, token), **env},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Listener(process)
    finally:
        process.kill()
        process.wait()


def listen(
    run_host: Callable[..., subprocess.CompletedProcess[str]],
    url: str,
    messages: int,
    *,
    loop: dict[str, Any],
    client: dict[str, Any],
    **env: str,
) -> Heard:
    """The same from its beginning to its end."""
    words = _words(messages, loop, client)
    done = run_host("syncing", *words, env=_env(url, "token") | env, timeout=_SECONDS)
    return Heard.of(done.stdout.splitlines())
