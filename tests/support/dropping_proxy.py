"""A TCP proxy in front of a homeserver that breaks connections: before a request went through, and
after, when the answer is on its way back."""

from __future__ import annotations

import asyncio
import contextlib
import random
from urllib.parse import urlsplit

from tests.support.web_server import ConnectionServer


class DroppingProxy(ConnectionServer):
    """Runs while the `with` block does."""

    def __init__(self, url: str, drop: float) -> None:
        """`drop`: the part of all requests and answers that is dropped, with the connection."""
        super().__init__()
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 80)
        self._drop = drop / 2
        self._dice = random.Random(1)
        self.dropped = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries both ways until one way ends."""
        there, back = await asyncio.open_connection(*self._target)
        ways = (self._carry(reader, back), self._carry(there, writer))
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            back.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries pieces one way until one is dropped; small requests are a piece each."""
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if self._dice.random() < self._drop:
                    self.dropped += 1
                    return
                writer.write(data)
                await writer.drain()
