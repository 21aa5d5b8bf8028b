"""A homeserver where nothing happens: a first sync with some rooms, then long polls."""

from __future__ import annotations

import asyncio
import ssl

from bench.fixture import sync_body
from bench.server import OTHER, BenchServer, render


class IdleFixture(BenchServer):
    """`with IdleFixture(rooms) as server:`"""

    def __init__(self, rooms: int, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self._first = render(sync_body(rooms, 10))

    async def respond(self, target: str, body: bytes) -> bytes:
        """News never come."""
        if "/sync?" not in target:
            return OTHER
        if "since=" not in target:
            return self._first
        await asyncio.sleep(float(target.partition("timeout=")[2].partition("&")[0]) / 1000)
        return render(b'{"next_batch":"s1"}')
