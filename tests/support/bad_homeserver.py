"""A homeserver that does what a script says, one deed for each /sync: mostly the wrong thing.

    with BadHomeserver([drop, answer(page(1))]) as server:
        ...
    server.syncs    # when each /sync came, by the monotonic clock

A deed is a coroutine function that is given the connection and the request. When the script is at
its end, /sync answers that there is nothing new. Everything else is answered as it should be.
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from tests.support.web_server import ConnectionServer, Received

ME = "@me:x"
ROOM = "!a:x"


@dataclass
class Visit:
    """One request, and the way to answer it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Writes bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Ends the connection without a word."""
        self.writer.transport.abort()


Deed = Callable[[Visit], Awaitable[None]]


# -- what it may do -------------------------------------------------------------------------------


def head(status: int, size: int | None, **headers: str) -> bytes:
    """The head of an answer; header names are written with underscores."""
    lines = [f"HTTP/1.1 {status} Whatever", "Content-Type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if size is not None:
        lines.append(f"Content-Length: {size}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(body: Any, status: int = 200, **headers: str) -> Deed:
    """Answers; the body is JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def do(visit: Visit) -> None:
        await visit.send(head(status, len(data), **headers) + data)

    return do


def error(status: int, code: str, /, **fields: Any) -> Deed:
    """Refuses as Matrix does. `retry_after` is a header, all other fields are the body's."""
    headers = {"Retry_After": str(fields.pop("retry_after"))} if "retry_after" in fields else {}
    return answer({"errcode": code, "error": code, **fields}, status, **headers)


async def drop(visit: Visit) -> None:
    """Closes the connection instead of answering."""
    visit.reset()


async def stall(visit: Visit) -> None:
    """Never answers."""
    await asyncio.sleep(3600)


async def half(visit: Visit) -> None:
    """Promises more than comes before the connection breaks."""
    await visit.send(head(200, 1000) + b'{"next_batch": "never", "rooms": {"join": {"!a')
    visit.reset()


async def half_a_head(visit: Visit) -> None:
    """Breaks off in the middle of the head."""
    await visit.send(b"HTTP/1.1 200 O")
    visit.reset()


async def not_http(visit: Visit) -> None:
    """Speaks something else."""
    await visit.send(b"220 mail.example.org ESMTP\r\n")
    visit.reset()


async def drip(visit: Visit) -> None:
    """Begins an answer and goes on with a byte now and then, for ever."""
    await visit.send(head(200, 1 << 20))
    while True:
        await visit.send(b" ")
        await asyncio.sleep(0.05)


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(b" " * (64 << 20), 6)


async def gzip_bomb(visit: Visit) -> None:
    """A small body that unpacks to 64 MiB of blanks."""
    body = _bomb()
    await visit.send(head(200, len(body), Content_Encoding="gzip") + body)


async def flood(visit: Visit) -> None:
    """A body of 200 MB, without saying so before."""
    await visit.send(head(200, None, Transfer_Encoding="chunked"))
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    for _ in range(200_000_000 // 65536):
        await visit.send(chunk)
    await visit.send(b"0\r\n\r\n")


HTML = answer(b"<html><h1>502 Bad Gateway</h1></html>", 502, Content_Type="text/html")
PORTAL = answer(b"<html>Welcome! Please log in to the hotel's network.</html>")


def message(number: int) -> dict[str, Any]:
    """A message with this number."""
    return {
        "type": "m.room.message",
        "sender": "@a:x",
        "event_id": f"$m{number}",
        "origin_server_ts": number,
        "content": {"msgtype": "m.text", "body": "hi"},
    }


def page(number: int, *events: Any) -> dict[str, Any]:
    """The number-th sync; without events it holds the message of the same number."""
    timeline = {"events": list(events or [message(number)])}
    return {"next_batch": f"s{number}", "rooms": {"join": {ROOM: {"timeline": timeline}}}}


# -- the server -----------------------------------------------------------------------------------


class BadHomeserver(ConnectionServer):
    """Runs while the `with` block does."""

    def __init__(
        self,
        script: Sequence[Deed] | Deed,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(host, tls)
        self._deed = script if callable(script) else None
        self._script = [] if callable(script) else list(script)
        self.syncs: list[float] = []
        self.visits: list[Visit] = []

    async def answer(self, request: Received, writer: asyncio.StreamWriter) -> None:
        """Does what is next."""
        query = dict(parse_qsl(request.parts.query))
        visit = Visit(request.method, request.parts.path, query, request.headers, writer)
        self.visits.append(visit)
        if not visit.path.endswith("/sync"):
            await answer({"user_id": ME, "device_id": "D", "versions": ["v1.11"]})(visit)
            return
        self.syncs.append(time.monotonic())
        if self._deed is not None:
            await self._deed(visit)
        elif self._script:
            await self._script.pop(0)(visit)
        else:
            await asyncio.sleep(min(int(visit.query.get("timeout", "0")) / 1000, 5))
            await answer({"next_batch": visit.query.get("since", "s0")})(visit)
