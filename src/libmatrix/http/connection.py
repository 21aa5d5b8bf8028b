"""One HTTP/1.1 connection: an asyncio protocol around the llhttp parser of `httptools`."""

import asyncio
from collections.abc import Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from libmatrix.http.errors import (
    HttpConnectionError,
    HttpError,
    HttpInvalidResponseError,
    HttpTimeoutError,
    map_exception,
)
from libmatrix.http.exchange import HIGH_WATER, Exchange
from libmatrix.tasks import time_limit

_MAX_HEAD = 64 * 1024
_FRAMING_ALLOWANCE = 1024 * 1024


class StaleConnectionError(HttpConnectionError):
    """A kept-alive connection turned out to be closed before a byte of the answer came."""


class Connection(asyncio.BufferedProtocol):
    """Carries one exchange at a time; the pool owns it between exchanges."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        label: str,
        stall_seconds: float,
        buffer: memoryview,
    ) -> None:
        """All connections of a loop may share the buffer: it is read out before the next turn."""
        self._loop = loop
        self._buffer = buffer
        self._label = label
        self._stall_seconds = stall_seconds
        self._stall_timer: asyncio.TimerHandle | None = None
        self._last_data = 0.0
        self._deadline: float | None = None
        self._late: Callable[[], HttpTimeoutError] | None = None
        # May come earlier than the deadline, of which most are moved on and few are reached.
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._informational = False
        self._surplus = False
        self._reading_paused = False
        self._wire_bytes = 0
        self._writable: asyncio.Future[None] | None = None
        self._write_paused = False
        self.on_lost: Callable[[Connection], None] | None = None
        self.served = 0
        self.idle_since = 0.0
        self.lost = False

    # -- asyncio.BufferedProtocol -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop: completes or fails what was under way."""
        self.lost = True
        self._stop_stall_timer()
        self._stop_deadline_timer()
        self._release_writer()
        if self.on_lost is not None:
            self.on_lost(self)
        exchange = self._exchange
        if exchange is None or exchange.over:
            return
        if exc is None and exchange.head_complete and exchange.until_eof:
            exchange.finish(keep_alive=False)
            exchange.wake()
        else:
            exchange.fail(self._lost_error(exchange, exc))

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Called by the event loop: where to put what comes."""
        return self._buffer

    def buffer_updated(self, size: int) -> None:
        """Called by the event loop: feeds the parser, which copies what it hands on."""
        exchange = self._exchange
        if exchange is None or exchange.over:
            self.abort()  # nobody asked: not to be trusted with the next request
            return
        exchange.answered = True
        self._last_data = self._loop.time()
        self._wire_bytes += size
        try:
            self._parser.feed_data(self._buffer[:size])
            self._check_framing(exchange)
        except (HttpParserError, HttpParserUpgrade, HttpError) as error:
            self._parse_failed(exchange, error)
        # The last thing, for the next exchange may begin in it.
        self._proceed(exchange)

    def pause_writing(self) -> None:
        """Called by the transport: its buffer is full."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Called by the transport: its buffer has drained."""
        self._write_paused = False
        self._release_writer()

    # -- httptools callbacks ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Called by the parser; a second answer to one request spoils the connection."""
        if self._exchange is None or self._exchange.finished:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for headers and for trailers, which are dropped."""
        exchange = self._exchange
        if exchange is not None and not exchange.head_complete:
            exchange.add_header(name, value)

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        exchange = self._exchange
        if exchange is None or exchange.finished:
            return
        status = self._parser.get_status_code()
        self._informational = 100 <= status < 200
        if self._informational:
            exchange.headers.clear()
            return
        exchange.status = status
        exchange.begin_body()
        if exchange.method == "HEAD":
            # The parser waits for the body that the headers describe, so this was its last answer.
            exchange.finish(keep_alive=False)

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        exchange = self._exchange
        if exchange is not None and not exchange.finished:
            exchange.add_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser; 1xx answers are not the answer."""
        if self._informational:
            self._informational = False
        elif self._exchange is not None:
            self._exchange.finish(keep_alive=self._parser.should_keep_alive())

    # -- what requests use --------------------------------------------------------------------

    def start(self, exchange: Exchange) -> None:
        """Makes `exchange` the one under way."""
        self._exchange = exchange
        self._wire_bytes = 0
        self._surplus = False
        if self.lost:
            exchange.fail(self._lost_error(exchange, None))

    def end_by(self, deadline: float, late: Callable[[], HttpTimeoutError]) -> None:
        """Fails the exchange under way with `late()` unless it is over by then."""
        self._deadline, self._late = deadline, late
        timer = self._deadline_timer
        if timer is None or timer.when() > deadline:
            self._stop_deadline_timer()
            self._deadline_timer = self._loop.call_at(deadline, self._check_deadline)

    def write(self, data: bytes) -> None:
        """Queues bytes; `drain` waits until they are nearly gone."""
        if self._transport is not None and not self.lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Returns when more may be written; the peer must take something within the stall limit."""
        while self._write_paused and not self.lost:
            self._writable = self._loop.create_future()
            try:
                async with time_limit(self._stall_seconds):
                    await self._writable
            except TimeoutError:
                raise HttpTimeoutError(f"{self._label}: the upload stalled", sent=True) from None
            finally:
                self._writable = None

    async def next_chunk(self, exchange: Exchange) -> bytes | None:
        """The next piece of a streamed body; reading goes on as the pieces are taken."""
        chunk = await exchange.next_chunk()
        if self._reading_paused and exchange.queued < HIGH_WATER // 2:
            self._reading_paused = False
            self._last_data = self._loop.time()
            if self._transport is not None and not self.lost:
                self._transport.resume_reading()
        return chunk

    def reusable(self, exchange: Exchange) -> bool:
        """Whether the next request may use this connection."""
        return (
            exchange.finished
            and exchange.keep_alive
            and not self._surplus
            and not self._write_paused
            and not self.lost
            and not self.closing
        )

    @property
    def closing(self) -> bool:
        """Whether the transport is on its way out."""
        return self._transport is None or self._transport.is_closing()

    @property
    def idle_seconds(self) -> float:
        """How long it has rested."""
        return self._loop.time() - self.idle_since

    def rest(self) -> None:
        """The exchange is over and the connection goes back to the pool."""
        self._exchange = self._deadline = self._late = None
        self._stop_stall_timer()
        self.served += 1
        self.idle_since = self._loop.time()

    def close(self) -> None:
        """Closes politely (TLS says goodbye)."""
        # Closed twice, asyncio's TLS of Python 3.11.2 can no longer be aborted.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def abort(self) -> None:
        """Closes at once, whatever is under way."""
        self._stop_stall_timer()
        if self._transport is not None:
            self._transport.abort()

    # -- inside -------------------------------------------------------------------------------

    def _proceed(self, exchange: Exchange) -> None:
        """Something of the answer has come."""
        if exchange.over:
            self._stop_stall_timer()
        elif exchange.head_complete:
            self._watch(exchange)
        if exchange.over or exchange.streaming:
            exchange.wake()

    def _check_framing(self, exchange: Exchange) -> None:
        """Bounds what is not body: endless heads, trailers and chunk extensions."""
        if not exchange.head_complete:
            if self._wire_bytes > _MAX_HEAD:
                raise HttpInvalidResponseError("the answer's head is too long", sent=True)
        elif self._wire_bytes > _FRAMING_ALLOWANCE + 16 * exchange.received:
            raise HttpInvalidResponseError("the answer is nearly all framing", sent=True)

    def _parse_failed(self, exchange: Exchange, error: Exception) -> None:
        # What a callback of ours raised, the parser hands over as the context of its own error.
        cause = error.__context__ if isinstance(error, HttpParserError) else None
        if exchange.finished:  # rubbish after the end: the answer stands, the connection does not
            self._surplus = True
            return
        self.abort()
        exchange.fail(map_exception(cause or error, self._label, sent=True))

    def _lost_error(self, exchange: Exchange, exc: Exception | None) -> HttpError:
        if exchange.answered:
            if exc is not None:
                return map_exception(exc, f"{self._label}: in the middle of the answer", sent=True)
            return HttpConnectionError(f"{self._label}: closed within the answer", sent=True)
        if self.served:
            return StaleConnectionError(f"{self._label}: closed before answering", sent=True)
        if exc is not None:
            return map_exception(exc, f"{self._label}: before answering", sent=True)
        return HttpConnectionError(f"{self._label}: closed before answering", sent=True)

    def _watch(self, exchange: Exchange) -> None:
        """The answer has begun and is not over: flow control, and silence becomes an error."""
        if exchange.queued > HIGH_WATER and not self._reading_paused:
            self._reading_paused = True
            if self._transport is not None:
                self._transport.pause_reading()
        if self._stall_timer is None:
            self._stall_timer = self._loop.call_later(self._stall_seconds, self._check_stall)

    def _check_stall(self) -> None:
        self._stall_timer = None
        exchange = self._exchange
        if exchange is None or exchange.over:
            return
        silent = self._loop.time() - self._last_data
        if self._reading_paused or silent < self._stall_seconds:
            wait = self._stall_seconds if self._reading_paused else self._stall_seconds - silent
            self._stall_timer = self._loop.call_later(wait, self._check_stall)
            return
        self.abort()
        exchange.fail(HttpTimeoutError(f"{self._label}: the answer stalled", sent=True))

    def _check_deadline(self) -> None:
        self._deadline_timer = None
        exchange, deadline = self._exchange, self._deadline
        if exchange is None or deadline is None or self._late is None:
            return
        if self._loop.time() < deadline:
            self._deadline_timer = self._loop.call_at(deadline, self._check_deadline)
        else:
            exchange.fail(self._late())

    def _stop_deadline_timer(self) -> None:
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
            self._deadline_timer = None

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _release_writer(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
