"""A room's history rendered beforehand: 10,000 events in pages, newest first."""

from __future__ import annotations

import json
import re

from bench.sync_fixture import OTHER, SyncFixture, message

EVENTS = 10_000
ROOM = "!room:localhost"

_FROM = re.compile(rb"[?&]from=t([0-9]+)")


def pages(size: int) -> list[bytes]:
    """The answers to /messages; the token tN stands for the page with index N."""
    bodies = []
    count = EVENTS // size
    for index in range(count):
        first = EVENTS - index * size
        events = [message(first - number) | {"room_id": ROOM} for number in range(size)]
        body: dict[str, object] = {"chunk": events, "start": f"t{index}", "state": []}
        if index + 1 < count:
            body["end"] = f"t{index + 1}"
        bodies.append(json.dumps(body).encode())
    return bodies


class HistoryFixture(SyncFixture):
    """`with HistoryFixture(bodies) as url:` answers /messages."""

    def answer(self, target: bytes) -> bytes:
        """A page, or who one is."""
        if b"/messages?" not in target:
            return OTHER
        place = _FROM.search(target)
        return self.answers[int(place[1]) if place else 0]
