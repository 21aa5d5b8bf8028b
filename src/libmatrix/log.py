"""Log records of one context; built only when somebody reads them."""

from __future__ import annotations

from typing import get_args

import msgspec

from libmatrix import frames
from libmatrix.frames import Outbox
from libmatrix.table_gen import LogLevel

# The numbers of enum matrix_log_level.
_LEVELS: dict[str, int] = {name: number for number, name in enumerate(get_args(LogLevel), 1)}
_OFF = _LEVELS["off"]
_MOST_CHARACTERS = 2_000

_encode = msgspec.json.Encoder().encode


class Log:
    """Where one context's records go. Nothing secret may be given to it."""

    def __init__(self, outbox: Outbox, context: int) -> None:
        self._outbox = outbox
        self._context = context
        self._level = _OFF

    def set_level(self, name: str) -> None:
        """Records from this level on are wanted."""
        self._level = _LEVELS.get(name, _OFF)

    def wants(self, level: LogLevel) -> bool:
        """Whether a record of this level would go anywhere; ask before building a costly one."""
        return _LEVELS[level] >= self._level

    def record(self, level: LogLevel, source: str, message: str, code: str | None = None) -> None:
        """Posts a record: one line for people, the part it is about, maybe an error code."""
        number = _LEVELS[level]
        if number < self._level or number >= _OFF:
            return
        # A `LogRecord` but for `dropped`, which the core adds.
        record = {"level": level, "source": source, "message": message[:_MOST_CHARACTERS]}
        if code is not None:
            record["code"] = code
        self._outbox.add(frames.LOG, self._context, 0, _encode(record), flags=number)
