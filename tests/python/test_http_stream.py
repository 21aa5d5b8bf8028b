"""Streaming both ways: progress, limits, and a slow side that slows the other one down."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncGenerator

import pytest

from libmatrix.http.client import (
    HttpArgumentError,
    HttpClient,
    HttpConnectionError,
    HttpSettings,
    HttpTimeoutError,
    HttpTooLargeError,
)
from tests.support.http_servers import answering, raw, run, serve, until
from tests.support.web_server import read_request, reply

PIECE = bytes(range(256)) * 256


class Chunks:
    """An asynchronous iterator that knows whether it was closed."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.closed = False

    async def produce(self) -> AsyncGenerator[bytes, None]:
        try:
            for _ in range(self.count):
                yield PIECE
                yield b""
        finally:
            self.closed = True


@pytest.mark.parametrize("known", [True, False])
def test_upload(known: bool) -> None:
    async def scenario() -> None:
        async with answering(reply(200, b'{"content_uri":"mxc://a/b"}')) as server:
            client, seen = HttpClient(), list[tuple[int, int | None]]()
            length = 40 * len(PIECE) if known else None
            answer = await client.upload(
                "POST",
                server.url,
                Chunks(40).produce(),
                length=length,
                headers={"Content-Type": "image/png"},
                progress=lambda sent, total: seen.append((sent, total)),
            )
            again = await client.request("POST", server.url)
            await client.close()
        assert (answer.status, again.status, server.accepted) == (200, 200, 1)
        assert server.requests[0].body == PIECE * 40
        assert server.requests[0].headers["content-type"] == "image/png"
        assert seen == [(number * len(PIECE), length) for number in range(1, 41)]

    run(scenario())


@pytest.mark.parametrize(("count", "words"), [(3, "more"), (1, "fewer")])
def test_an_upload_must_be_as_long_as_it_says(count: int, words: str) -> None:
    async def scenario() -> None:
        async with answering(reply()) as server:
            client, chunks = HttpClient(), Chunks(count)
            with pytest.raises(HttpArgumentError, match=words):
                await client.upload("POST", server.url, chunks.produce(), length=2 * len(PIECE))
            assert chunks.closed
            await until(lambda: client.connections == (0, 0))
            await client.close()
            assert not server.requests

    run(scenario())


def test_what_the_source_raises_comes_out() -> None:
    async def failing() -> AsyncGenerator[bytes, None]:
        yield PIECE
        raise FileNotFoundError("gone")

    async def scenario() -> None:
        async with answering(reply()) as server:
            client = HttpClient()
            with pytest.raises(FileNotFoundError, match="gone"):
                await client.upload("POST", server.url, failing())
            await until(lambda: client.connections == (0, 0))
            await client.close()

    run(scenario())


def test_an_early_answer_ends_the_upload() -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply(413, b"too big"))
        while await reader.read(65536):
            pass

    async def scenario() -> None:
        async with serve(early) as server:
            client, chunks = HttpClient(), Chunks(100_000)
            answer = await client.upload("POST", server.url, chunks.produce())
            assert (answer.status, answer.body, chunks.closed) == (413, b"too big", True)
            await until(lambda: client.connections == (0, 0))
            await client.close()

    run(scenario())


def test_an_upload_nobody_reads_stalls() -> None:
    async def scenario() -> None:
        release = asyncio.Event()

        async def deaf(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await release.wait()

        async with serve(deaf) as server:
            client, chunks = HttpClient(HttpSettings(stall_timeout_ms=200)), Chunks(100_000)
            with pytest.raises(HttpTimeoutError, match="upload stalled"):
                await client.upload("POST", server.url, chunks.produce())
            assert chunks.closed
            release.set()
            await client.close()

    run(scenario())


def test_an_upload_to_a_server_that_goes_away() -> None:
    async def scenario() -> None:
        async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()

        async with serve(leave) as server:
            client, chunks = HttpClient(), Chunks(100_000)
            with pytest.raises(HttpConnectionError):
                await client.upload("POST", server.url, chunks.produce())
            assert chunks.closed
            await client.close()

    run(scenario())


@pytest.mark.parametrize("packed", [False, True])
def test_download(packed: bool) -> None:
    body = PIECE * 100
    sent = gzip.compress(body) if packed else body
    headers = {"Content_Encoding": "gzip"} if packed else {}

    async def scenario() -> None:
        async with answering(reply(200, sent, **headers)) as server:
            client, got, seen = HttpClient(), bytearray(), list[tuple[int, int | None]]()

            async def sink(data: bytes) -> None:
                await asyncio.sleep(0)
                got.extend(data)

            answer = await client.download(
                server.url, sink, progress=lambda done, total: seen.append((done, total))
            )
            assert (answer.status, answer.body, bytes(got)) == (200, b"", body)
            assert seen[-1] == (len(body), None if packed else len(body))
            assert (await client.download(server.url, got.extend)).status == 200
            assert (server.accepted, len(got)) == (1, 2 * len(body))
            await client.close()

    run(scenario())


def test_a_refused_download_keeps_the_sink_clean() -> None:
    async def scenario() -> None:
        async with answering(reply(404, b'{"errcode":"M_NOT_FOUND"}')) as server:
            client, got = HttpClient(), bytearray()
            answer = await client.download(server.url, got.extend)
            assert (answer.status, answer.body, got) == (404, b'{"errcode":"M_NOT_FOUND"}', b"")
            await client.close()

    run(scenario())


def test_a_slow_sink_slows_the_server_down() -> None:
    total = 64 * 1024 * 1024
    sent = [0]

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent[0] < total:
            writer.write(PIECE)
            await writer.drain()
            sent[0] += len(PIECE)

    async def scenario() -> None:
        got, opened = [0], asyncio.Event()
        steady = asyncio.Event()

        async def sink(data: bytes) -> None:
            got[0] += len(data)
            steady.set()
            await opened.wait()

        async with serve(flood) as server:
            client = HttpClient(HttpSettings(stall_timeout_ms=300))
            download = asyncio.ensure_future(client.download(server.url, sink))
            await steady.wait()
            before = -1
            while before != sent[0]:  # until the server is stuck, and longer than a stall
                before = sent[0]
                await asyncio.sleep(0.4)
            assert sent[0] < total // 2
            assert not download.done()
            opened.set()
            await download
            assert got[0] == total
            await client.close()

    run(scenario())


def test_a_download_has_limits_too() -> None:
    async def scenario() -> None:
        async with answering(reply(200, PIECE * 10)) as server:
            client, got = HttpClient(), bytearray()
            with pytest.raises(HttpTooLargeError):
                await client.download(server.url, got.extend, max_response_bytes=len(PIECE))
            assert not got
            await client.close()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"
        async with raw(head + PIECE, "hang") as server:
            client = HttpClient(HttpSettings(stall_timeout_ms=150))
            with pytest.raises(HttpTimeoutError, match="stalled"):
                await client.download(server.url, got.extend)
            assert got == PIECE
            await until(lambda: server.open == 0)
            await client.close()

    run(scenario())


def test_what_the_sink_raises_comes_out() -> None:
    def full(_data: bytes) -> None:
        raise OSError(28, "disk full")

    async def scenario() -> None:
        async with answering(reply(200, PIECE)) as server:
            client = HttpClient()
            with pytest.raises(OSError, match="disk full"):
                await client.download(server.url, full)
            await until(lambda: client.connections == (0, 0))
            await client.close()

    run(scenario())
