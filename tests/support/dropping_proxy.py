"""A TCP proxy in front of a homeserver that breaks connections: before a request went through, and
after, when the answer is on its way back."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from urllib.parse import urlsplit


class DroppingProxy:
    """Runs on a thread of its own while the `with` block does."""

    def __init__(self, url: str, drop: float) -> None:
        """`drop`: the part of all requests and answers that is dropped, with the connection."""
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 80)
        self._drop = drop / 2
        self._dice = random.Random(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.dropped = 0

    def __enter__(self) -> DroppingProxy:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                there, back = await asyncio.open_connection(*self._target)
                writers.append(back)
                both = (self._carry(reader, back), self._carry(there, writer))
                tasks = [asyncio.ensure_future(one) for one in both]
                try:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in tasks:
                        way.cancel()
        finally:
            self._tasks.discard(task)
            for each in writers:
                each.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries pieces one way until one is dropped; small requests are a piece each."""
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if self._dice.random() < self._drop:
                    self.dropped += 1
                    return
                writer.write(data)
                await writer.drain()
