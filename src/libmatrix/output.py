"""What libraries print becomes log records: the host's stdout and stderr are not ours."""

from __future__ import annotations

import sys
from collections.abc import Callable

_MOST_CHARACTERS = 10_000
_MOST_LINES = 100

# Where finished lines go; until the runtime is there they wait.
_waiting: list[str] = []
_sink: Callable[[str], None] | None = None


class LineWriter:
    """Enough of a text file for print(), warnings and tracebacks."""

    encoding = "utf-8"
    errors = "backslashreplace"
    closed = False

    def __init__(self) -> None:
        self._line = ""

    def write(self, text: str) -> int:
        """Takes text; whole lines are passed on."""
        *lines, self._line = (self._line + text).split("\n")
        self._line = self._line[:_MOST_CHARACTERS]
        for line in lines:
            _emit(line)
        return len(text)

    def flush(self) -> None:
        """Nothing waits below."""

    def isatty(self) -> bool:
        """It is no terminal."""
        return False

    def writable(self) -> bool:
        """It takes text."""
        return True

    def fileno(self) -> int:
        """It has no file descriptor."""
        raise OSError("the log has no file descriptor")


def install() -> None:
    """Puts writers in place of Python's standard streams. Files of the process stay as they are."""
    sys.stdin = None
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = LineWriter()  # type: ignore[assignment,misc]


def send_to(sink: Callable[[str], None]) -> None:
    """From now on lines go here, first those that waited."""
    global _sink
    _sink = sink
    for line in _waiting:
        sink(line)
    _waiting.clear()


def _emit(line: str) -> None:
    if not line.strip():
        return
    if _sink is not None:
        _sink(line)
    elif len(_waiting) < _MOST_LINES:
        _waiting.append(line)
