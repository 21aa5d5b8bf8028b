"""How long to wait after a failure: exponential with jitter, and as long as a server asks."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime

# A server that wants more than this is asked again all the same.
LONGEST_RETRY_AFTER_MS = 3_600_000
_LONGEST_FIELD_MS = 24 * 3_600_000

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)


def jitter() -> float:
    """A random number from 0 to 1; the module random would cost start-up time."""
    return int.from_bytes(os.urandom(4), "little") / 0xFFFFFFFF


class Backoff:
    """The pauses of one loop. Each failure doubles the range that the pause is drawn from."""

    def __init__(self, shortest_ms: int, longest_ms: int) -> None:
        self._shortest = max(shortest_ms, 1)
        self._longest = max(longest_ms, self._shortest)
        self.failures = 0

    def failed(self, retry_after_ms: int | None = None) -> int:
        """Counts a failure; how long to wait now, in ms."""
        self.failures += 1
        # Beyond that it is capped in any case; huge shifts are not needed.
        highest = min(self._longest, self._shortest << min(self.failures, 40))
        pause = self._shortest + round(jitter() * (highest - self._shortest))
        asked = min(retry_after_ms or 0, LONGEST_RETRY_AFTER_MS)
        # Clients that were all sent away together do not come back together.
        return max(pause, asked + round(jitter() * self._shortest)) if asked else pause

    def succeeded(self) -> None:
        """Starts over."""
        self.failures = 0


def retry_after_ms(headers: dict[str, str], field: object = None) -> int | None:
    """What the header Retry-After says, else the older field of the body; None for neither."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(int(text) * 1000, _LONGEST_FIELD_MS)
    when = _timestamp(text)
    if when is not None:
        # By the server's own clock, as ours may be wrong.
        now = _timestamp(headers.get("date", "").strip())
        seconds = when - (time.time() if now is None else now)
        return min(max(round(seconds * 1000), 0), _LONGEST_FIELD_MS)
    if isinstance(field, int | float) and not isinstance(field, bool) and field >= 0:
        return int(min(field, _LONGEST_FIELD_MS))
    return None


def _timestamp(text: str) -> float | None:
    """Seconds since 1970 of an HTTP date."""
    match = _DATE.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[index]) for index in (1, 3, 4, 5, 6))
    month = _MONTHS.index(match[2]) + 1
    try:
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC).timestamp()
    except ValueError:
        return None
