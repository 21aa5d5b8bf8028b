"""One request's answer while it arrives: head, body, end, or the error that ended it."""

from collections import deque

from libmatrix.http.body import Collector, too_large
from libmatrix.http.errors import HttpError
from libmatrix.tasks import Signal

# Above this much unread body the connection stops reading from the socket.
HIGH_WATER = 512 * 1024


class Exchange:
    """Filled in by a `Connection`, awaited by the request that started it."""

    __slots__ = (
        "_chunks",
        "_collector",
        "_signal",
        "answered",
        "error",
        "finished",
        "head_complete",
        "headers",
        "keep_alive",
        "limit",
        "method",
        "queued",
        "received",
        "status",
        "streaming",
        "until_eof",
    )

    def __init__(self, method: str, limit: int, *, streaming: bool = False) -> None:
        self._signal: Signal | None = None
        self._chunks: deque[bytes] = deque()
        self._collector = Collector()
        self.method = method
        self.limit = limit
        self.streaming = streaming
        self.status = 0
        self.headers: dict[str, str] = {}
        self.head_complete = False
        self.finished = False
        self.answered = False
        self.keep_alive = False
        self.until_eof = False
        self.received = 0
        self.queued = 0
        self.error: HttpError | None = None

    # -- what the connection tells ------------------------------------------------------------

    def add_header(self, raw_name: bytes, raw_value: bytes) -> None:
        """Records a header; repeated ones are joined as RFC 9110 5.3 says."""
        name = raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1")
        old = self.headers.get(name)
        self.headers[name] = value if old is None else f"{old}, {value}"

    def begin_body(self) -> None:
        """The head is complete; refuses at once a body that announces itself as too long."""
        self.head_complete = True
        length = self.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.limit and self.method != "HEAD":
            raise too_large(self.limit)
        self.until_eof = not length and "transfer-encoding" not in self.headers

    def add_body(self, chunk: bytes) -> None:
        """Records body bytes as they came over the wire."""
        self.received += len(chunk)
        if self.received > self.limit:
            raise too_large(self.limit)
        if self.streaming:
            self._chunks.append(chunk)
            self.queued += len(chunk)
        else:
            self._collector.add(chunk)

    def finish(self, *, keep_alive: bool) -> None:
        """The answer is complete."""
        if not self.finished:
            self.finished = True
            self.keep_alive = keep_alive

    def fail(self, error: HttpError) -> None:
        """The answer will never be complete."""
        if not self.finished and self.error is None:
            self.error = error
            self.wake()

    def wake(self) -> None:
        """Lets the waiting request look again, which may take the connection before this returns.

        What tells of something new is followed by it, but `fail`, which does it itself.
        """
        signal, self._signal = self._signal, None
        if signal is not None:
            signal.set()

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.finished or self.error is not None

    # -- what the request awaits --------------------------------------------------------------

    def _news(self) -> Signal:
        self._signal = signal = Signal()
        return signal

    async def head(self) -> None:
        """Returns when status and headers are known."""
        while not self.head_complete:
            if self.error is not None:
                raise self.error
            await self._news()

    async def body(self) -> bytes:
        """The whole body, still in its Content-Encoding."""
        while not self.finished:
            if self.error is not None:
                raise self.error
            await self._news()
        return self._collector.take()

    async def next_chunk(self) -> bytes | None:
        """The next piece of a streamed body, or None at its end."""
        while not self._chunks:
            if self.error is not None:
                raise self.error
            if self.finished:
                return None
            await self._news()
        chunk = self._chunks.popleft()
        self.queued -= len(chunk)
        return chunk
