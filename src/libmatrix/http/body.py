"""Bodies of answers: collected without a second copy, and unpacked only as far as the limit."""

import zlib
from collections.abc import Iterator
from io import BytesIO

from libmatrix.http.errors import HttpInvalidResponseError, HttpTooLargeError, map_exception

_PIECE = 256 * 1024
# What zlib is given at a time: it copies what it leaves over.
_SLICE = 16 * 1024
_GZIP = 16 + zlib.MAX_WBITS


class Collector:
    """Joins chunks; one chunk, the usual case, is handed on as it is."""

    __slots__ = ("_buffer", "_single", "size")

    def __init__(self) -> None:
        self._single: bytes = b""
        self._buffer: BytesIO | None = None
        self.size = 0

    def add(self, chunk: bytes) -> None:
        """Appends a chunk."""
        if not self.size:
            self._single = chunk
        else:
            if self._buffer is None:
                # BytesIO grows in place and gives its buffer away: no join of a 100 MB list.
                self._buffer = BytesIO()
                self._buffer.write(self._single)
                self._single = b""
            self._buffer.write(chunk)
        self.size += len(chunk)

    def take(self) -> bytes:
        """Everything so far; the collector is empty afterwards."""
        body = self._buffer.getvalue() if self._buffer is not None else self._single
        self._buffer, self._single, self.size = None, b"", 0
        return body


class Decoder:
    """Undoes a Content-Encoding piece by piece, so that a bomb never unfolds beyond the limit."""

    __slots__ = ("_gzip", "_limit", "_touched", "total")

    def __init__(self, encoding: str, limit: int) -> None:
        self._limit = limit
        self._touched = False
        self.total = 0
        name = encoding.strip().lower()
        if name in ("gzip", "x-gzip"):
            self._gzip: zlib._Decompress | None = zlib.decompressobj(_GZIP)
        elif name in ("", "identity"):
            self._gzip = None
        else:
            raise HttpInvalidResponseError("the answer has an encoding nobody asked for", sent=True)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yields the decoded pieces of a chunk."""
        if self._gzip is None:
            yield self._count(data)
            return
        whole = memoryview(data)
        for start in range(0, len(whole), _SLICE):
            yield from self._unpack(whole[start : start + _SLICE])
        yield from self._drain()

    def _unpack(self, data: bytes | memoryview) -> Iterator[bytes]:
        while data and self._gzip is not None:
            if self._gzip.eof:  # gzip members may follow one another
                self._gzip = zlib.decompressobj(_GZIP)
            self._touched = True
            piece = _inflate(self._gzip, data)
            data = self._gzip.unused_data if self._gzip.eof else self._gzip.unconsumed_tail
            if piece:
                yield self._count(piece)

    def _drain(self) -> Iterator[bytes]:
        """Output that zlib still holds although all input is consumed."""
        while self._gzip is not None and not self._gzip.eof:
            piece = _inflate(self._gzip, b"")
            if not piece:
                return
            yield self._count(piece)

    def finish(self) -> None:
        """Refuses a stream that ended before its end."""
        if self._gzip is not None and self._touched and not self._gzip.eof:
            raise HttpInvalidResponseError("the answer's gzip stream is cut short", sent=True)

    def _count(self, piece: bytes) -> bytes:
        self.total += len(piece)
        if self.total > self._limit:
            raise too_large(self._limit)
        return piece


def _inflate(gzip: "zlib._Decompress", data: bytes | memoryview) -> bytes:
    try:
        return gzip.decompress(data, _PIECE)
    except zlib.error as error:
        raise map_exception(error, "the answer", sent=True) from None


def decode(body: bytes, encoding: str, limit: int) -> bytes:
    """Undoes the Content-Encoding of a whole body."""
    decoder = Decoder(encoding, limit)
    whole = Collector()
    for piece in decoder.feed(body):
        whole.add(piece)
    decoder.finish()
    return whole.take()


def too_large(limit: int) -> HttpTooLargeError:
    """The error of every limit on a body's size."""
    return HttpTooLargeError(f"the answer is larger than {limit} bytes", sent=True)
