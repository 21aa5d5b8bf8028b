"""A homeserver that takes sends, each transaction once, or does something else first.

    with SendServer(lambda sending: DROP if sending.number == 1 else TAKE) as server:
        ...
    server.taken    # what it took, in order

Everything but sends is answered as by a homeserver where nothing happens and no room is encrypted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

ME = "@me:x"
_SENDS = ("send", "state", "redact")


@dataclass
class Sending:
    """One request to send something; `number` counts them from 0."""

    number: int
    kind: str
    room_id: str
    parts: list[str]
    token: str
    body: Any

    @property
    def txn_id(self) -> str:
        """The last part of the path."""
        return self.parts[-1]


@dataclass(frozen=True)
class Deed:
    """What is done with a request to send something."""

    takes: bool = True
    # None: the connection is dropped.
    status: int | None = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    # Answered only when it is set.
    gate: threading.Event | None = None


TAKE = Deed()
# Before it was taken, and after.
DROP = Deed(takes=False, status=None)
LOSE = Deed(status=None)


def refuse(status: int, code: str, **fields: Any) -> Deed:
    """Does not take it and says so as Matrix does."""
    return Deed(False, status, {"errcode": code, "error": code, **fields})


def limit(retry_after_ms: int) -> Deed:
    """Asks to slow down."""
    return refuse(429, "M_LIMIT_EXCEEDED", retry_after_ms=retry_after_ms)


class SendServer:
    """Runs on a thread of its own while the `with` block does."""

    def __init__(self, deed: Callable[[Sending], Deed] = lambda _: TAKE) -> None:
        self.deed = deed
        # Answers the rest: given method, path and token, it may give status and body.
        self.other: Callable[[str, str, str], tuple[int, Any] | None] = lambda *_: None
        self.sendings: list[Sending] = []
        self.taken: list[Sending] = []
        self.most_at_once = 0
        self._at_once = 0
        self._event_ids: dict[tuple[str, ...], str] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def bodies(self, room_id: str | None = None) -> list[str]:
        """The texts of the messages it took, in order."""
        taken = [each for each in self.taken if room_id in (None, each.room_id)]
        return [each.body.get("body") for each in taken]

    def __enter__(self) -> SendServer:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self) -> None:
        """Listens, at the same port as before."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)

    def stop(self) -> None:
        """Goes away with all connections."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while not writer.transport.is_closing():
                    await self._answer(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        text = await reader.readexactly(int(headers.get("content-length", "0")))
        token = headers.get("authorization", "").removeprefix("Bearer ")
        path = urlsplit(target).path
        parts = [unquote(part) for part in path.split("/")[4:]]
        if method == "PUT" and parts[0] == "rooms" and parts[2] in _SENDS:
            sending = Sending(
                len(self.sendings), parts[2], parts[1], parts[3:], token, json.loads(text)
            )
            self.sendings.append(sending)
            deed = self.deed(sending)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            try:
                await self._do(deed, sending, writer)
            finally:
                self._at_once -= 1
            return
        status, body = self.other(method, path, token) or _usual(path)
        await _write(writer, status, body)

    async def _do(self, deed: Deed, sending: Sending, writer: asyncio.StreamWriter) -> None:
        event_id = ""
        if deed.takes:
            event_id = self._take(sending)
        if deed.gate is not None:
            await asyncio.to_thread(deed.gate.wait, 30)
        if deed.status is None:
            writer.transport.abort()
            return
        body = {"event_id": event_id} if deed.body is None else deed.body
        await _write(writer, deed.status, body, deed.headers)

    def _take(self, sending: Sending) -> str:
        place = (sending.token, sending.kind, sending.room_id, *sending.parts)
        if sending.kind == "state" or place not in self._event_ids:
            self._event_ids[place] = f"$e{len(self.taken)}"
            self.taken.append(sending)
        return self._event_ids[place]


def _usual(path: str) -> tuple[int, Any]:
    if path.endswith("/m.room.encryption/"):
        return 404, {"errcode": "M_NOT_FOUND", "error": "no"}
    if path.endswith("/sync"):
        return 200, {"next_batch": "s1"}
    fields = {"user_id": ME, "device_id": "D", "access_token": "token", "versions": ["v1.11"]}
    return 200, fields


async def _write(
    writer: asyncio.StreamWriter, status: int, body: Any, headers: dict[str, str] | None = None
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + data)
    await writer.drain()
