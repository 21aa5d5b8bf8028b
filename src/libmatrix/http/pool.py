"""Connections between requests: kept for the next one, closed when nobody comes."""

import asyncio

from libmatrix.http.connection import Connection
from libmatrix.http.dial import Dialer, Route
from libmatrix.http.errors import HttpClosedError

_IDLE_SECONDS = 50.0
_IDLE_PER_ROUTE = 32
# A server may close a kept connection just as we write to it. Requests that must not be sent
# twice take only one that was in use a moment ago, which no server closes yet.
_YOUNG_SECONDS = 2.0


class Pool:
    """The connections of one client, idle and busy."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._idle: dict[Route, list[Connection]] = {}
        self._all: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Future[None] | None = None
        self.closed = False

    def take_idle(self, route: Route, *, young: bool) -> Connection | None:
        """The most recently used idle connection that is still alive, if any."""
        idle = self._idle.get(route)
        while idle:
            connection = idle[-1]
            if connection.lost or connection.closing:
                idle.pop()
                continue
            if young and connection.idle_seconds > _YOUNG_SECONDS:
                return None
            return idle.pop()
        return None

    async def open(self, route: Route) -> Connection:
        """A fresh connection."""
        connection = await self._dialer.dial(route)
        if connection.lost:
            return connection  # the request finds out by itself
        if self.closed:
            connection.abort()
            raise HttpClosedError("the client was closed")
        connection.on_lost = self._forget
        self._all.add(connection)
        return connection

    def give_back(self, route: Route, connection: Connection) -> None:
        """Keeps a connection for the next request."""
        if self.closed:
            connection.abort()
            return
        connection.rest()
        idle = self._idle.setdefault(route, [])
        idle.append(connection)
        if len(idle) > _IDLE_PER_ROUTE:
            idle.pop(0).close()
        if self._sweeper is None:
            self._sweep_in(_IDLE_SECONDS)

    def _forget(self, connection: Connection) -> None:
        self._all.discard(connection)
        if not self._all and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    def _sweep_in(self, seconds: float) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = asyncio.get_running_loop().time()
        oldest = now
        for route, idle in list(self._idle.items()):
            kept = []
            for connection in idle:
                if connection.lost or connection.closing:
                    continue
                if now - connection.idle_since >= _IDLE_SECONDS:
                    connection.close()
                else:
                    kept.append(connection)
                    oldest = min(oldest, connection.idle_since)
            if kept:
                self._idle[route] = kept
            else:
                del self._idle[route]
        if self._idle:
            self._sweep_in(max(0.0, oldest + _IDLE_SECONDS - now))

    def counts(self) -> tuple[int, int]:
        """Open connections: busy, idle."""
        idle = sum(
            not (connection.lost or connection.closing)
            for connections in self._idle.values()
            for connection in connections
        )
        return len(self._all) - idle, idle

    async def close(self) -> None:
        """Closes everything and returns when the sockets are gone."""
        self.closed = True
        self._idle.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in list(self._all):
            connection.abort()
        if self._all:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied
