"""A room's history rendered beforehand: 10,000 events, newest first."""

from __future__ import annotations

import json
import re

from bench.sync_fixture import OTHER, SyncFixture, message, render_answer

EVENTS = 10_000
ROOM = "!room:localhost"

_FROM = re.compile(rb"[?&]from=t([0-9]+)")
_LIMIT = re.compile(rb"[?&]limit=([0-9]+)")


class HistoryFixture(SyncFixture):
    """`with HistoryFixture() as url:` answers /messages; the token tN is before the event N."""

    def __init__(self) -> None:
        super().__init__([])
        newest_first = range(EVENTS - 1, -1, -1)
        events = (message(number) | {"room_id": ROOM} for number in newest_first)
        self._events = [json.dumps(event).encode() for event in events]

    def answer(self, target: bytes) -> bytes:
        """A page, or who one is."""
        if b"/messages?" not in target:
            return OTHER
        place, limit = _FROM.search(target), _LIMIT.search(target)
        start = int(place[1]) if place else 0
        end = start + (int(limit[1]) if limit else 10)
        chunk = b",".join(self._events[start:end])
        after = b',"end":"t%d"' % end if end < EVENTS else b""
        return render_answer(b'{"chunk":[%b],"start":"t%d"%b}' % (chunk, start, after))
