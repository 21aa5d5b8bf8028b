"""Opening connections: names to addresses, addresses raced, TLS and proxies on top."""

import asyncio
import socket
from collections.abc import Callable
from itertools import zip_longest
from typing import NamedTuple, cast

from libmatrix.http.connection import Connection
from libmatrix.http.errors import (
    HttpError,
    HttpProxyError,
    HttpTooManyFilesError,
    map_exception,
)
from libmatrix.http.proxy import Greeting, Proxy
from libmatrix.http.trust import Trust, tls_context
from libmatrix.http.url import Origin
from libmatrix.tasks import time_limit

# RFC 8305: how long one address may try alone before the next joins in.
_HEAD_START_SECONDS = 0.25
_TLS_GOODBYE_SECONDS = 1.0
# Added to asyncio's own handshake limit, so that ours comes first and says what it is.
_GRACE_SECONDS = 5.0
_BUFFER = 256 * 1024

Address = tuple[int, tuple[object, ...]]


class Route(NamedTuple):
    """Connections of equal routes are interchangeable."""

    origin: Origin
    proxy: Proxy | None

    @property
    def is_forwarded(self) -> bool:
        """Whether the proxy reads the requests, instead of passing bytes on."""
        proxy = self.proxy
        return proxy is not None and not proxy.is_socks and self.origin.scheme == "http"


class Dialer:
    """Opens connections under one trust and one set of limits."""

    def __init__(self, trust: Trust, connect_seconds: float, stall_seconds: float) -> None:
        self._trust = trust
        self._connect_seconds = connect_seconds
        self._stall_seconds = stall_seconds
        # Kept, because to get as much memory for every answer takes longer than to read it. The
        # pages that no answer has reached cost nothing.
        self._buffer = memoryview(bytearray(_BUFFER))

    async def dial(self, route: Route) -> Connection:
        """A fresh connection, ready for its first request."""
        loop = asyncio.get_running_loop()
        label = route.origin.label
        connection = Connection(loop, label, self._stall_seconds, self._buffer)
        doing = f"connecting to {label}"
        try:
            async with time_limit(self._connect_seconds):
                await self._open(loop, route, connection)
        except Exception as error:
            raise map_exception(error, doing, sent=False) from None
        return connection

    async def _open(
        self, loop: asyncio.AbstractEventLoop, route: Route, connection: Connection
    ) -> None:
        origin, proxy = route
        if proxy is None:
            sock = await open_socket(loop, origin)
            await self._wrap(loop, sock, origin, lambda: connection)
        elif route.is_forwarded:
            await self._reach_proxy(loop, proxy, lambda: connection)
        else:
            await self._open_tunnel(loop, origin, proxy, connection)

    async def _wrap(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        origin: Origin,
        factory: Callable[[], asyncio.BaseProtocol],
    ) -> asyncio.Transport:
        """Makes a transport of a connected socket, with TLS where the scheme says so."""
        try:
            if origin.scheme != "https":
                return (await loop.create_connection(factory, sock=sock))[0]
            transport, _ = await loop.create_connection(
                factory,
                sock=sock,
                ssl=tls_context(self._trust),
                server_hostname=origin.host,
                ssl_handshake_timeout=self._connect_seconds + _GRACE_SECONDS,
                ssl_shutdown_timeout=_TLS_GOODBYE_SECONDS,
            )
        except BaseException:
            sock.close()
            raise
        return transport

    async def _reach_proxy(
        self,
        loop: asyncio.AbstractEventLoop,
        proxy: Proxy,
        factory: Callable[[], asyncio.BaseProtocol],
    ) -> asyncio.Transport:
        try:
            sock = await open_socket(loop, proxy.origin)
            return await self._wrap(loop, sock, proxy.origin, factory)
        except HttpTooManyFilesError:
            raise
        except (HttpError, OSError) as error:
            doing = f"proxy {proxy.origin.label}"
            mapped = map_exception(error, doing, sent=False)
            if isinstance(mapped, HttpTooManyFilesError):
                raise mapped from None
            raise HttpProxyError(str(mapped)) from None

    async def _open_tunnel(
        self,
        loop: asyncio.AbstractEventLoop,
        origin: Origin,
        proxy: Proxy,
        connection: Connection,
    ) -> None:
        address = origin.host
        if proxy.origin.scheme == "socks5":
            address = cast("str", (await resolve(loop, origin))[0][1][0])
        greeting = Greeting(loop)
        transport = await self._reach_proxy(loop, proxy, lambda: greeting)
        try:
            await greeting.open_tunnel(proxy, origin, address)
            transport.set_protocol(connection)
            if origin.scheme == "https":
                transport = await self._start_tls(loop, transport, connection, origin)
            connection.connection_made(transport)
        except BaseException:
            transport.abort()
            raise

    async def _start_tls(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        connection: Connection,
        origin: Origin,
    ) -> asyncio.Transport:
        inner = await loop.start_tls(
            transport,
            connection,
            tls_context(self._trust),
            server_hostname=origin.host,
            ssl_handshake_timeout=self._connect_seconds + _GRACE_SECONDS,
            ssl_shutdown_timeout=_TLS_GOODBYE_SECONDS,
        )
        if inner is None:  # closed while the handshake finished
            raise ConnectionResetError
        return inner


async def resolve(loop: asyncio.AbstractEventLoop, origin: Origin) -> list[Address]:
    """The addresses of a host, families interleaved in the order the system prefers."""
    host = origin.host.encode("ascii")  # bytes spare the import of the IDNA codec
    try:  # an address needs no resolver and no thread
        found = socket.getaddrinfo(
            host, origin.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except socket.gaierror:
        found = await loop.getaddrinfo(host, origin.port, type=socket.SOCK_STREAM)
    addresses = [(int(family), tuple(address)) for family, _, _, _, address in found]
    first = [item for item in addresses if item[0] == addresses[0][0]]
    other = [item for item in addresses if item[0] != addresses[0][0]]
    pairs = zip_longest(first, other)
    return [item for pair in pairs for item in pair if item is not None]


async def open_socket(loop: asyncio.AbstractEventLoop, origin: Origin) -> socket.socket:
    """A connected socket to the first address that answers."""
    addresses = await resolve(loop, origin)
    if len(addresses) == 1:
        return await _connect(loop, addresses[0])
    return await _race(loop, addresses)


async def _connect(loop: asyncio.AbstractEventLoop, address: Address) -> socket.socket:
    family, where = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # A long poll over a dead link ends in minutes, not never.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
        await loop.sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


async def _race(loop: asyncio.AbstractEventLoop, addresses: list[Address]) -> socket.socket:
    """Happy Eyeballs: each address starts when the one before it failed or is slow."""
    waiting = list(addresses)
    running: set[asyncio.Task[socket.socket]] = set()
    errors: list[BaseException] = []
    winner: socket.socket | None = None
    try:
        while winner is None and (waiting or running):
            if waiting:
                running.add(loop.create_task(_connect(loop, waiting.pop(0))))
            head_start = _HEAD_START_SECONDS if waiting else None
            done, running = await asyncio.wait(
                running, timeout=head_start, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                error = task.exception()
                if error is not None:
                    errors.append(error)
                elif winner is None:
                    winner = task.result()
                else:
                    task.result().close()
    finally:
        _call_off(running)
    if winner is None:
        raise errors[0]
    return winner


def _call_off(running: set[asyncio.Task[socket.socket]]) -> None:
    """Cancels the losers; one that connects all the same is closed."""

    def discard(task: asyncio.Task[socket.socket]) -> None:
        if not task.cancelled() and task.exception() is None:
            task.result().close()

    for task in running:
        task.add_done_callback(discard)
        task.cancel()
