"""One request on its way: what is sent, how much may come back, where a redirect leads."""

from collections.abc import AsyncIterator, Callable

import msgspec

from libmatrix.http.connection import Connection
from libmatrix.http.dial import Route
from libmatrix.http.errors import HttpArgumentError, HttpTimeoutError
from libmatrix.http.exchange import Exchange
from libmatrix.http.head import Fields
from libmatrix.http.url import check_request_url

# Requests that the server may see twice without harm; Matrix PUTs carry a transaction id.
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SECRETS = frozenset({"authorization", "cookie", "proxy-authorization"})
_JOIN_BELOW = 64 * 1024

Progress = Callable[[int, int | None], None]


class HttpResponse(msgspec.Struct, frozen=True):
    """A complete answer; header names are lower-case, repeated ones joined with a comma."""

    status: int
    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        """Leaves out headers and body, which may hold secrets."""
        return f"HttpResponse(status={self.status}, {len(self.body)} bytes)"


class Job:
    """Everything about one request but the connection it takes."""

    __slots__ = (
        "chunks",
        "deadline",
        "fields",
        "head",
        "hops",
        "length",
        "limit",
        "limit_ms",
        "method",
        "payload",
        "progress",
        "route",
        "sent",
        "url",
    )

    def __init__(
        self, method: str, url: str, route: Route, head: bytes, fields: Fields, limit: int
    ) -> None:
        self.method = method
        self.url = url
        self.route = route
        self.head = head
        self.fields = fields
        self.limit = limit
        # When all of it must be over, by the loop's clock, and how long that is from the start.
        self.deadline: float | None = None
        self.limit_ms = 0
        self.payload = b""
        self.chunks: AsyncIterator[bytes] | None = None
        self.length: int | None = None
        self.progress: Progress | None = None
        self.sent = False
        self.hops = 0

    @property
    def repeatable(self) -> bool:
        """Whether it may go out again after a kept connection turned out to be dead."""
        return self.method in _REPEATABLE and self.chunks is None

    def late(self) -> HttpTimeoutError:
        """The error when its time is over."""
        doing = f"{self.method} {self.route.origin.label}"
        text = f"{doing}: no complete answer within {self.limit_ms} ms"
        return HttpTimeoutError(text, sent=self.sent)

    async def send(self, connection: Connection, exchange: Exchange) -> bool:
        """Writes head and body; False if the answer came before all of it was sent."""
        self.sent = True
        if self.chunks is not None:
            connection.write(self.head)
            return await self._send_chunks(self.chunks, connection, exchange)
        if len(self.payload) < _JOIN_BELOW:
            connection.write(self.head + self.payload)
        else:
            connection.write(self.head)
            connection.write(self.payload)
        return True

    async def _send_chunks(
        self, chunks: AsyncIterator[bytes], connection: Connection, exchange: Exchange
    ) -> bool:
        done, last = 0, b""
        try:
            async for chunk in chunks:
                if exchange.over:
                    return False
                if not chunk:
                    continue
                done += len(chunk)
                if self.length is not None and done > self.length:
                    raise HttpArgumentError("chunks: more bytes than `length`", sent=True)
                if done == self.length:
                    last = chunk  # goes out only when it is known that nothing follows
                else:
                    await self._send_chunk(connection, chunk, done)
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()
        if self.length is None:
            connection.write(b"0\r\n\r\n")
        elif done < self.length:
            raise HttpArgumentError("chunks: fewer bytes than `length`", sent=True)
        elif last:
            await self._send_chunk(connection, last, done)
        return True

    async def _send_chunk(self, connection: Connection, chunk: bytes, done: int) -> None:
        framed = chunk if self.length is not None else b"%x\r\n%b\r\n" % (len(chunk), chunk)
        connection.write(framed)
        await connection.drain()
        if self.progress is not None:
            self.progress(done, self.length)

    def redirect(self, answer: HttpResponse) -> tuple[str, dict[str, str]] | None:
        """The URL and headers of the request an answer sends us to, if it is safe to follow."""
        location = answer.headers.get("location")
        if answer.status not in _REDIRECTS or not location or self.method not in ("GET", "HEAD"):
            return None
        from urllib.parse import urljoin  # costs 2 ms of a cold start

        here = self.route.origin
        try:
            # Of a host in brackets that is none, urljoin says ValueError.
            url = urljoin(self.url, location)
            there = check_request_url(url)
        except (ValueError, HttpArgumentError):
            return None
        if here.scheme == "https" and there.origin.scheme == "http":
            return None
        secret = frozenset[str]() if there.origin == here else _SECRETS
        return url, {name: v for name, v in self.fields.items.items() if name.lower() not in secret}
