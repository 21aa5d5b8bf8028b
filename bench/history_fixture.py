"""A room's history rendered beforehand: 10,000 events, newest first."""

from __future__ import annotations

import json
import re

from bench.server import OTHER, BenchServer, render
from bench.sync_fixture import message

EVENTS = 10_000
ROOM = "!room:localhost"

_FROM = re.compile(r"[?&]from=t([0-9]+)")
_LIMIT = re.compile(r"[?&]limit=([0-9]+)")


class HistoryFixture(BenchServer):
    """`with HistoryFixture() as server:` answers /messages; the token tN is before the event N."""

    def __init__(self) -> None:
        super().__init__()
        newest_first = range(EVENTS - 1, -1, -1)
        events = (message(number) | {"room_id": ROOM} for number in newest_first)
        self._events = [json.dumps(event).encode() for event in events]

    async def respond(self, target: str, body: bytes) -> bytes:
        """A page, or who one is."""
        if "/messages?" not in target:
            return OTHER
        place, limit = _FROM.search(target), _LIMIT.search(target)
        start = int(place[1]) if place else 0
        end = start + (int(limit[1]) if limit else 10)
        chunk = b",".join(self._events[start:end])
        after = b',"end":"t%d"' % end if end < EVENTS else b""
        return render(b'{"chunk":[%b],"start":"t%d"%b}' % (chunk, start, after))
