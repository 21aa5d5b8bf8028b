"""Servers for the HTTP tests: scripted byte by byte, on loopback, in the test's own event loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from libmatrix.http.client import HttpClient, HttpError, HttpSettings
from tests.support.web_server import Received, read_request, reply

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
T = TypeVar("T")


def run(scenario: Coroutine[Any, Any, T], seconds: float = 30) -> T:
    """Runs a scenario in a loop of its own; whatever hangs fails."""
    return asyncio.run(asyncio.wait_for(scenario, seconds))


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition; `run` limits how long."""
    while not condition():  # noqa: ASYNC110  (any condition, not only events)
        await asyncio.sleep(0.002)


@dataclass
class Server:
    """A running server and what it has seen."""

    host: str
    port: int
    scheme: str
    # Listens no more; open connections stay.
    stop: Callable[[], None]
    requests: list[Received] = field(default_factory=list)
    accepted: int = 0
    open: int = 0

    @property
    def url(self) -> str:
        """Its base URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@asynccontextmanager
async def serve(
    handler: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Server, None]:
    """Runs a handler for each connection; ends them all on the way out."""
    server: Server
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.accepted += 1
        server.open += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handler(reader, writer)
                writer.close()
                await writer.wait_closed()
        finally:
            server.open -= 1
            tasks.discard(task)
            writer.transport.abort()

    listener = await asyncio.start_server(connected, host, 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    server = Server(host, port, "https" if tls else "http", listener.close)
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await until(lambda: not tasks)
        await asyncio.sleep(0)  # aborted transports close in the next round of the loop


@asynccontextmanager
async def answering(
    *answers: bytes, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Server, None]:
    """A server that gives these answers in turn, the last one for ever, and keeps connections."""
    left = list(answers)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            server.requests.append(request)
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()

    async with serve(handle, host, tls) as server:
        yield server


@asynccontextmanager
async def raw(
    *pieces: bytes | float | str, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Server, None]:
    """A server that reads a request and plays pieces: bytes, "reset", "close", "hang", seconds."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.requests.append(await read_request(reader))
        for piece in pieces:
            if isinstance(piece, bytes):
                writer.write(piece)
                await writer.drain()
            elif isinstance(piece, float):
                await asyncio.sleep(piece)
            elif piece == "hang":
                await reader.read()
            elif piece == "reset":
                writer.transport.abort()
                return

    async with serve(handle, tls=tls) as server:
        yield server


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _tunnel(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
) -> None:
    there_reader, there_writer = await asyncio.open_connection(host, port)
    try:
        await asyncio.gather(_relay(reader, there_writer), _relay(there_reader, writer))
    finally:
        there_writer.transport.abort()


@asynccontextmanager
async def http_proxy(
    authorization: str | None = None, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Server, None]:
    """An HTTP proxy: CONNECT and absolute targets."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        server.requests.append(request)
        if authorization and request.headers.get("proxy-authorization") != authorization:
            writer.write(reply(407))
            await writer.drain()
            return
        if request.method == "CONNECT":
            host, port = request.target.rsplit(":", 1)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _tunnel(reader, writer, host.strip("[]"), int(port))
            return
        authority, _, path = request.target.removeprefix("http://").partition("/")
        host, port = authority.rsplit(":", 1)
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        there_writer.write(f"GET /{path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
        try:
            await _relay(there_reader, writer)
        finally:
            there_writer.transport.abort()

    async with serve(handle, tls=tls) as server:
        yield server


async def _log_in(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, login: tuple[bytes, bytes] | None
) -> bool:
    """The part of SOCKS5 before the request."""
    _, count = await reader.readexactly(2)
    methods = await reader.readexactly(count)
    if login is None:
        writer.write(b"\x05\x00")
        return True
    if 2 not in methods:
        writer.write(b"\x05\xff")
        return False
    writer.write(b"\x05\x02")
    _, size = await reader.readexactly(2)
    user = await reader.readexactly(size)
    password = await reader.readexactly((await reader.readexactly(1))[0])
    good = (user, password) == login
    writer.write(b"\x01\x00" if good else b"\x01\x01")
    return good


@asynccontextmanager
async def socks_proxy(
    login: tuple[bytes, bytes] | None = None,
    refuse: int = 0,
    names: dict[str, str] | None = None,
) -> AsyncGenerator[Server, None]:
    """A SOCKS5 proxy; `requests` holds the addresses it was asked for."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await _log_in(reader, writer, login):
            await writer.drain()
            return
        _, command, _, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = ".".join(str(part) for part in await reader.readexactly(4))
        port = int.from_bytes(await reader.readexactly(2), "big")
        server.requests.append(Received("SOCKS", f"{host}:{port}", {"command": str(command)}))
        writer.write(b"\x05" + bytes([refuse]) + b"\x00\x01\x00\x00\x00\x00\x00\x00")
        await writer.drain()
        if not refuse:
            await _tunnel(reader, writer, (names or {}).get(host, host), port)

    async with serve(handle) as server:
        yield server


async def ask(url: str, **settings: object) -> bytes:
    """The body of a GET by a client with these settings."""
    client = HttpClient(HttpSettings(**settings))  # type: ignore[arg-type]
    try:
        answer = await client.request("GET", url, headers={"Authorization": "Bearer hunter2"})
        return answer.body
    finally:
        await client.close()


async def refusal(url: str, **settings: object) -> HttpError:
    """The error of a request that must fail, and that does not say what was secret in it."""
    with pytest.raises(HttpError) as caught:
        await ask(f"{url}/?q=hunter2", **settings)
    assert "hunter2" not in str(caught.value)
    return caught.value
