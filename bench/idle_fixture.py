"""A homeserver where nothing happens: a first sync with some rooms, then long polls."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading

from bench.fixture import sync_body


class IdleFixture:
    """`with IdleFixture() as url:`; runs on a thread of its own."""

    def __init__(self, rooms: int, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._first = sync_body(rooms, 10)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024, ssl=self._tls)
        server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                for line in head.split("\r\n"):
                    if line.lower().startswith("content-length:"):
                        await reader.readexactly(int(line.split(":")[1]))
                writer.write(await self._answer(head.split(" ")[1]))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str) -> bytes:
        body = json.dumps({"filter_id": "1", "versions": ["v1.11"]}).encode()
        if "/sync?" in path and "since=" not in path:
            body = self._first
        elif "/sync?" in path:
            await asyncio.sleep(float(path.partition("timeout=")[2].partition("&")[0]) / 1000)
            body = b'{"next_batch":"s1"}'
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
