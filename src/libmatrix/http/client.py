"""HTTP for everything: one client per trust and proxy setting, shared by all Matrix clients.

    client = HttpClient(HttpSettings(ca_file="/etc/my-ca.pem"))
    answer = await client.request("GET", "https://example.org/_matrix/client/versions")

Redirects are answers unless asked for. Nothing of the process environment counts unless
`use_environment` is set. Every failure is an `HttpError` with a public code; see `http_errors`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec

from libmatrix.http.body import Decoder, decode
from libmatrix.http.connection import Connection, StaleConnectionError
from libmatrix.http.dial import Dialer, Route
from libmatrix.http.errors import (
    HttpArgumentError,
    HttpClosedError,
    HttpConnectionError,
    HttpError,
    HttpInternalError,
    HttpInvalidResponseError,
    HttpProxyError,
    HttpTimeoutError,
    HttpTlsError,
    HttpTooLargeError,
    HttpTooManyFilesError,
)
from libmatrix.http.exchange import Exchange
from libmatrix.http.head import Fields, own_text, request_head
from libmatrix.http.job import HttpResponse, Job, Progress
from libmatrix.http.pool import Pool
from libmatrix.http.proxy import ProxyRules
from libmatrix.http.trust import check_ca_file, find_trust
from libmatrix.http.url import Origin, check_request_url
from libmatrix.tasks import in_task

__all__ = [
    "Fields",
    "HttpArgumentError",
    "HttpClient",
    "HttpClosedError",
    "HttpConnectionError",
    "HttpError",
    "HttpInternalError",
    "HttpInvalidResponseError",
    "HttpProxyError",
    "HttpResponse",
    "HttpSettings",
    "HttpTimeoutError",
    "HttpTlsError",
    "HttpTooLargeError",
    "HttpTooManyFilesError",
    "Progress",
    "Sink",
]

Sink = Callable[[bytes], Awaitable[None] | None]
_Receive = Callable[[Job, Connection, Exchange], Awaitable[HttpResponse]]

_NO_ENVIRONMENT: Mapping[str, str] = {}
_MOST_PLANS = 64


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What distinguishes one client from another; equal settings can share a client."""

    ca_file: str | None = None
    proxy: str | None = None
    user_agent: str = "libmatrix"
    connect_timeout_ms: int = 10_000
    request_timeout_ms: int = 60_000
    stall_timeout_ms: int = 30_000
    max_response_bytes: int = 256 * 1024 * 1024
    max_connections: int = 64
    use_environment: bool = False

    def __repr__(self) -> str:
        """Leaves out the proxy, which may hold a password."""
        proxy = "set" if self.proxy else None
        return f"HttpSettings(ca_file={self.ca_file!r}, proxy={proxy!r})"


class _Plan(NamedTuple):
    """What requests to an origin have in common."""

    route: Route
    # Before the target: a proxy that forwards wants to know the origin.
    prefix: str
    # The fields of the head that are the client's own.
    own: str


class HttpClient:
    """Sends requests over kept connections; use it from one event loop, close it at the end."""

    def __init__(self, settings: HttpSettings | None = None) -> None:
        """Opens nothing yet; raises `HttpArgumentError` for settings that cannot work."""
        self._settings = settings = settings or HttpSettings()
        _check(settings)
        environment = os.environ if settings.use_environment else _NO_ENVIRONMENT
        self._trust = find_trust(settings.ca_file, environment)
        self._proxies = ProxyRules(settings.proxy, environment)
        connect, stall = settings.connect_timeout_ms / 1000, settings.stall_timeout_ms / 1000
        self._pool = Pool(Dialer(self._trust, connect, stall))
        # Of its first request, and so of all.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places = asyncio.Semaphore(settings.max_connections)
        # By the origin, the encoding, and the names of the caller's fields.
        self._plans: dict[tuple[Origin, str, frozenset[str]], _Plan] = {}

    @property
    def settings(self) -> HttpSettings:
        """The settings it was made with."""
        return self._settings

    @property
    def trust(self) -> str:
        """Which authorities are trusted, for the log: `system: /etc/ssl/certs/…`."""
        return str(self._trust)

    @property
    def connections(self) -> tuple[int, int]:
        """Open connections: busy, idle."""
        return self._pool.counts()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | Fields | None = None,
        body: bytes | None = None,
        timeout_ms: int | None = None,
        max_response_bytes: int | None = None,
        long_poll: bool = False,
        max_redirects: int = 0,
    ) -> HttpResponse:
        """Sends a request and returns the whole answer, whatever its status.

        `timeout_ms` is for everything from now to the last byte (None: the setting, 0: no limit).
        A `long_poll` does not take one of the `max_connections` places.
        `max_redirects` above 0 follows that many, for GET and HEAD only.
        """
        framing = f"Content-Length: {len(body or b'')}\r\n" if _has_body(method, body) else ""
        job = self._job(method, url, headers, "gzip", framing, max_response_bytes)
        job.payload = body or b""
        job.hops = max_redirects
        return await self._limited(job, self._collect, timeout_ms, long_poll=long_poll)

    async def upload(
        self,
        method: str,
        url: str,
        chunks: AsyncIterator[bytes],
        *,
        length: int | None = None,
        headers: Mapping[str, str] | Fields | None = None,
        progress: Progress | None = None,
        timeout_ms: int = 0,
        max_response_bytes: int | None = None,
    ) -> HttpResponse:
        """Sends a body piece by piece; without `length` it goes out chunked.

        `progress(sent, length)` is called as the pieces leave. `timeout_ms` 0 is no limit, yet a
        peer that takes nothing for `stall_timeout_ms` ends it. What `chunks` raises comes out
        unchanged.
        """
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        job = self._job(method, url, headers, "gzip", size + "\r\n", max_response_bytes)
        job.chunks, job.length, job.progress = chunks, length, progress
        return await self._limited(job, self._collect, timeout_ms)

    async def download(
        self,
        url: str,
        sink: Sink,
        *,
        headers: Mapping[str, str] | Fields | None = None,
        progress: Progress | None = None,
        timeout_ms: int = 0,
        max_response_bytes: int | None = None,
    ) -> HttpResponse:
        """GETs a body into `sink`, a function or coroutine function that may slow the sender down.

        The returned body is empty, except where the status is not 2xx: then nothing goes to the
        sink. `progress(received, length)` follows it. What the sink raises comes out unchanged.
        """
        job = self._job("GET", url, headers, "identity", "", max_response_bytes)
        job.progress = progress

        async def receive(job: Job, connection: Connection, exchange: Exchange) -> HttpResponse:
            return await self._drain(job, connection, exchange, sink)

        return await self._limited(job, receive, timeout_ms, streaming=True)

    async def close(self) -> None:
        """Ends all requests with `HttpClosedError` and closes all connections."""
        await self._pool.close()

    # -- inside -------------------------------------------------------------------------------

    def _job(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | Fields | None,
        encoding: str,
        framing: str,
        limit: int | None,
    ) -> Job:
        origin, target, _ = check_request_url(url)
        fields = headers if isinstance(headers, Fields) else Fields(headers or {})
        key = (origin, encoding, fields.names)
        plan = self._plans.get(key) or self._plan(*key)
        head = request_head(method, plan.prefix + target, plan.own, framing, fields)
        maximum = self._settings.max_response_bytes if limit is None else limit
        return Job(method, url, plan.route, head, fields, maximum)

    def _plan(self, origin: Origin, encoding: str, names: frozenset[str]) -> _Plan:
        route = Route(origin, self._proxies.proxy_for(origin))
        own = {"Host": origin.authority, "User-Agent": self._settings.user_agent}
        own["Accept-Encoding"] = encoding
        prefix = ""
        if route.proxy is not None and route.is_forwarded:
            own |= route.proxy.authorization
            prefix = f"http://{origin.authority}"
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        plan = self._plans[origin, encoding, names] = _Plan(route, prefix, own_text(own, names))
        return plan

    async def _limited(
        self,
        job: Job,
        receive: _Receive,
        timeout_ms: int | None,
        *,
        streaming: bool = False,
        long_poll: bool = False,
    ) -> HttpResponse:
        """Runs the job within the total time limit, with a place among the connections."""
        job.limit_ms = self._settings.request_timeout_ms if timeout_ms is None else timeout_ms
        if job.limit_ms:
            loop = self._loop = self._loop or asyncio.get_running_loop()
            job.deadline = loop.time() + job.limit_ms / 1000
        if job.chunks is not None or streaming:
            # Both ends may have to be waited for.
            async with _within(job):
                return await self._in_place(job, receive, streaming)
        if long_poll:
            return await self._follow(job, receive, streaming)
        return await self._in_place(job, receive, streaming)

    async def _in_place(self, job: Job, receive: _Receive, streaming: bool) -> HttpResponse:
        """Runs the job in one of the places."""
        if self._places.locked():
            async with _within(job):
                await self._places.acquire()
        else:
            await self._places.acquire()
        try:
            return await self._follow(job, receive, streaming)
        finally:
            self._places.release()

    async def _follow(self, job: Job, receive: _Receive, streaming: bool) -> HttpResponse:
        """Runs the job and, as far as it may, the redirects it is answered with."""
        answer = await self._perform(job, receive, streaming)
        hops = job.hops
        while hops and (following := job.redirect(answer)) is not None:
            hops -= 1
            deadline, limit_ms = job.deadline, job.limit_ms
            job = self._job(job.method, *following, "gzip", "", job.limit)
            job.deadline, job.limit_ms = deadline, limit_ms
            answer = await self._perform(job, receive, streaming)
        return answer

    async def _collect(self, job: Job, _connection: Connection, exchange: Exchange) -> HttpResponse:
        """Receives a whole answer."""
        body = await exchange.body()
        encoding = exchange.headers.get("content-encoding")
        if encoding and body:
            body = decode(body, encoding, job.limit)
        if exchange.status == 407 and job.route.is_forwarded:
            raise HttpProxyError("the proxy wants other credentials (407)")
        return HttpResponse(exchange.status, exchange.headers, body)

    async def _perform(self, job: Job, receive: _Receive, streaming: bool) -> HttpResponse:
        """Runs the job on a kept connection or, where that is dead or missing, on a fresh one."""
        if self._pool.closed:
            raise HttpClosedError("the client is closed")
        try:
            connection = self._pool.take_idle(job.route, young=not job.repeatable)
            if connection is not None:
                try:
                    return await self._run(job, connection, receive, streaming)
                except StaleConnectionError:
                    if not job.repeatable:
                        raise
            async with _within(job):
                connection = await self._pool.open(job.route)
            return await self._run(job, connection, receive, streaming)
        except HttpError as error:
            if isinstance(error, HttpConnectionError) and self._pool.closed:
                raise HttpClosedError("the client was closed", sent=job.sent) from None
            # It may have gone out on a kept connection before the fresh one failed.
            error.sent = error.sent or job.sent
            raise

    async def _run(
        self, job: Job, connection: Connection, receive: _Receive, streaming: bool
    ) -> HttpResponse:
        exchange = Exchange(job.method, job.limit, streaming=streaming)
        connection.start(exchange)
        if job.deadline is not None:
            connection.end_by(job.deadline, job.late)
        try:
            all_sent = await job.send(connection, exchange)
            answer = await receive(job, connection, exchange)
        except BaseException:
            connection.abort()
            raise
        if all_sent and connection.reusable(exchange):
            self._pool.give_back(job.route, connection)
        else:
            connection.close()
        return answer

    async def _drain(
        self, job: Job, connection: Connection, exchange: Exchange, sink: Sink
    ) -> HttpResponse:
        """Hands a streamed body on, piece by piece."""
        await exchange.head()
        length = exchange.headers.get("content-length", "")
        encoding = exchange.headers.get("content-encoding", "")
        total = int(length) if length.isdecimal() and not encoding else None
        decoder = Decoder(encoding, job.limit)
        refusal: list[bytes] | None = [] if not 200 <= exchange.status < 300 else None
        while (chunk := await connection.next_chunk(exchange)) is not None:
            for piece in decoder.feed(chunk):
                if refusal is not None:
                    refusal.append(piece)
                    continue
                pending = sink(piece)
                if pending is not None:
                    await pending
            if job.progress is not None and refusal is None:
                job.progress(decoder.total, total)
        decoder.finish()
        return HttpResponse(exchange.status, exchange.headers, b"".join(refusal or ()))


@asynccontextmanager
async def _within(job: Job) -> AsyncIterator[None]:
    """Ends what is inside when the job's time is over."""
    await in_task()
    try:
        async with asyncio.timeout_at(job.deadline) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise job.late() from None


def _has_body(method: str, body: bytes | None) -> bool:
    """Whether the request says how long its body is; POST and PUT always do."""
    return body is not None or method in ("POST", "PUT", "PATCH")


def _check(settings: HttpSettings) -> None:
    for name in ("connect_timeout_ms", "stall_timeout_ms", "max_connections"):
        if getattr(settings, name) < 1:
            raise HttpArgumentError(f"{name}: must be at least 1")
    for name in ("request_timeout_ms", "max_response_bytes"):
        if getattr(settings, name) < 0:
            raise HttpArgumentError(f"{name}: must not be negative")
    if not (settings.user_agent.isascii() and settings.user_agent.isprintable()):
        raise HttpArgumentError("user_agent: must be printable ASCII")
    if settings.ca_file is not None:
        check_ca_file(settings.ca_file)
