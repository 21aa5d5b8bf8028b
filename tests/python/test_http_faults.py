"""The HTTP client against bad servers: each fault is an error with a code, and nothing leaks."""

from __future__ import annotations

import asyncio
import gzip
import os
import resource
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from libmatrix.http.body import decode
from libmatrix.http.client import (
    HttpClient,
    HttpConnectionError,
    HttpError,
    HttpInvalidResponseError,
    HttpSettings,
    HttpTimeoutError,
    HttpTooLargeError,
    HttpTooManyFilesError,
)
from tests.support.http_servers import answering, raw, run, serve, until
from tests.support.web_server import read_request, reply

OK = b"HTTP/1.1 200 OK\r\n"
SECRETS = {"Authorization": "Bearer hunter2"}


async def failing(url: str, settings: HttpSettings | None = None, **options: object) -> HttpError:
    """The error of a request that must fail and leave no connection behind."""
    client = HttpClient(settings or HttpSettings())
    with pytest.raises(HttpError) as caught:
        await client.request("GET", f"{url}/?q=hunter2", headers=SECRETS, **options)  # type: ignore[arg-type]
    await until(lambda: client.connections == (0, 0))
    await client.close()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = run(failing(f"http://127.0.0.1:{taken.getsockname()[1]}"))
    assert isinstance(error, HttpConnectionError)
    assert "Connection refused" in str(error)
    assert not error.sent


def test_a_name_that_does_not_exist() -> None:
    error = run(failing("http://nobody.invalid"))
    assert isinstance(error, HttpConnectionError)
    assert "nobody.invalid:80" in str(error)
    assert not error.sent


def test_connecting_has_its_own_limit() -> None:
    async def scenario() -> None:
        with socket.socket() as full:  # the queue of a listener that never accepts is soon full
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            where = full.getsockname()
            blockers = [socket.socket() for _ in range(8)]
            for blocker in blockers:
                blocker.setblocking(False)
                blocker.connect_ex(where)
            settings = HttpSettings(connect_timeout_ms=150, request_timeout_ms=20_000)
            error = await failing(f"http://127.0.0.1:{where[1]}", settings)
            assert isinstance(error, HttpTimeoutError)
            assert "connecting" in str(error)
            assert not error.sent
            for blocker in blockers:
                blocker.close()

    run(scenario())


LENGTH_9 = OK + b"Content-Length: 9\r\n\r\n1234"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc"
CUT_GZIP = reply(200, gzip.compress(b"abc")[:-4], Content_Encoding="gzip")

CLOSED = [
    ((b"",), "close", "before answering"),
    ((b"",), "reset", "before answering"),
    ((b"HTTP/1.1 200",), "close", "within the answer"),
    ((LENGTH_9,), "close", "within the answer"),
    ((LENGTH_9,), "reset", "the answer"),
    ((CHUNKED, b"5\r\nab"), "close", "within the answer"),
]
INVALID = [
    ((b"\x16\x03\x01\x00\xa5 not http at all\r\n\r\n",), "not valid HTTP"),
    ((b"HTTP/1.1 999999 X\r\n\r\n",), "not valid HTTP"),
    ((UPGRADE,), "not valid HTTP"),
    ((OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",), "not valid HTTP"),
    ((OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",), "not valid HTTP"),
    ((OK + b"Content-Length: -1\r\n\r\n",), "not valid HTTP"),
    ((CHUNKED + b"zz\r\n",), "not valid HTTP"),
    ((OK + b"X: ", b"y" * 80_000), "head is too long"),
    ((b"HTTP/1.1 100 Continue\r\n\r\n" * 4000,), "head is too long"),
    ((CHUNKED + b"1\r\nx\r\n0\r\nT: ", b"t" * 1_200_000), "framing"),
    ((OK + b"Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc",), "encoding"),
    ((OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",), "not valid gzip"),
    ((CUT_GZIP,), "cut short"),
]
BROKEN = [(pieces, end, HttpConnectionError, words) for pieces, end, words in CLOSED]
BROKEN += [(pieces, "hang", HttpInvalidResponseError, words) for pieces, words in INVALID]


@pytest.mark.parametrize(("pieces", "end", "kind", "words"), BROKEN)
def test_broken_answers(
    pieces: tuple[bytes, ...], end: str, kind: type[HttpError], words: str
) -> None:
    async def scenario() -> None:
        async with raw(*pieces, end) as server:
            error = await failing(server.url)
            assert type(error) is kind, error
            assert words in str(error)
            assert error.sent
            await until(lambda: server.open == 0)

    run(scenario())


def test_a_stall_before_the_answer_ends_with_the_total_limit() -> None:
    async def scenario() -> None:
        async with raw("hang") as server:
            error = await failing(server.url, timeout_ms=120)
            assert isinstance(error, HttpTimeoutError)
            assert "within 120 ms" in str(error)
            assert error.sent
            await until(lambda: server.open == 0)

    run(scenario())


@pytest.mark.parametrize("first_ms", [60_000, 300, 0])
def test_each_request_of_a_kept_connection_has_its_own_limit(first_ms: int) -> None:
    async def scenario() -> None:
        async def answers_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(reply(200, b"first"))
            await read_request(reader)
            await reader.read()

        async with serve(answers_once) as server:
            client = HttpClient()
            answer = await client.request("GET", server.url, timeout_ms=first_ms)
            assert answer.body == b"first"
            with pytest.raises(HttpTimeoutError, match="within 150 ms"):
                await client.request("GET", server.url, timeout_ms=150)
            assert server.accepted == 1
            await client.close()

    run(scenario())


def test_the_limit_of_a_request_does_not_end_the_next_of_the_connection() -> None:
    async def scenario() -> None:
        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(reply(200, b"first"))
            await read_request(reader)
            await asyncio.sleep(0.3)
            writer.write(reply(200, b"second"))
            await reader.read()

        async with serve(slow) as server:
            client = HttpClient()
            await client.request("GET", server.url, timeout_ms=100)
            answer = await client.request("GET", server.url, timeout_ms=20_000)
            assert answer.body == b"second"
            assert server.accepted == 1
            await client.close()

    run(scenario())


def test_the_limit_counts_while_all_places_are_taken() -> None:
    async def scenario() -> None:
        async with raw("hang") as server:
            client = HttpClient(HttpSettings(max_connections=1))
            first = asyncio.ensure_future(client.request("GET", server.url, timeout_ms=0))
            await until(lambda: server.accepted == 1)
            with pytest.raises(HttpTimeoutError, match="within 100 ms") as caught:
                await client.request("GET", server.url, timeout_ms=100)
            assert not caught.value.sent
            assert server.accepted == 1
            first.cancel()
            await asyncio.wait([first])
            await client.close()

    run(scenario())


def test_a_stall_within_the_answer_does_not_wait_for_the_total_limit() -> None:
    async def scenario() -> None:
        async with raw(OK + b"Content-Length: 9\r\n\r\nabc", "hang") as server:
            settings = HttpSettings(stall_timeout_ms=120)
            error = await failing(server.url, settings, timeout_ms=0)
            assert isinstance(error, HttpTimeoutError)
            assert "stalled" in str(error)

    run(scenario())


def test_a_long_poll_may_be_silent_longer_than_a_stall() -> None:
    async def scenario() -> None:
        async with raw(0.4, reply(200, b"late"), "hang") as server:
            client = HttpClient(HttpSettings(stall_timeout_ms=100, connect_timeout_ms=100))
            answer = await client.request("GET", server.url, timeout_ms=20_000, long_poll=True)
            assert answer.body == b"late"
            await client.close()

    run(scenario())


def test_a_slow_drip_goes_on_until_the_total_limit() -> None:
    async def scenario() -> None:
        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(OK + b"Content-Length: 1000\r\n\r\n")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)

        async with serve(drip) as server:
            settings = HttpSettings(stall_timeout_ms=200)
            error = await failing(server.url, settings, timeout_ms=500)
            assert isinstance(error, HttpTimeoutError)
            assert "within 500 ms" in str(error)
            await until(lambda: server.open == 0)

    run(scenario())


def bomb(size: int) -> bytes:
    """`size` zeros, gzipped."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1024 * 1024)
    pieces = [packer.compress(zeros) for _ in range(size // len(zeros))]
    return b"".join(pieces) + packer.flush()


def test_a_gzip_bomb_stops_at_the_limit() -> None:
    packed = bomb(400 * 1024 * 1024)

    async def scenario() -> None:
        async with answering(reply(200, packed, Content_Encoding="gzip")) as server:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            error = await failing(server.url, max_response_bytes=4 * 1024 * 1024)
            assert isinstance(error, HttpTooLargeError)
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 * 1024

    assert len(packed) < 1024 * 1024
    run(scenario())


def test_a_gzip_of_many_members_is_no_work() -> None:
    packed = gzip.compress(b"") * 200_000 + gzip.compress(b"end")
    began = time.process_time()
    assert decode(packed, "gzip", 100) == b"end"
    assert time.process_time() - began < 10


@pytest.mark.parametrize("announced", [True, False])
def test_a_200_mb_body_stops_at_the_limit(announced: bool) -> None:
    total, written = 200 * 1024 * 1024, [0]
    framing = b"Content-Length: %d" % total if announced else b"Connection: close"

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK + framing + b"\r\n\r\n")
        while written[0] < total:
            writer.write(bytes(65536))
            await writer.drain()
            written[0] += 65536

    async def scenario() -> None:
        async with serve(flood) as server:
            error = await failing(server.url, max_response_bytes=1024 * 1024)
            assert isinstance(error, HttpTooLargeError)
            assert "1048576 bytes" in str(error)
            await until(lambda: server.open == 0)

    run(scenario())
    assert written[0] < 40 * 1024 * 1024


def test_data_nobody_asked_for_ends_the_connection() -> None:
    async def scenario() -> None:
        async with raw(reply(200, b"one") + reply(200, b"smuggled"), "hang") as server:
            client = HttpClient()
            for _ in range(2):
                assert (await client.request("GET", server.url)).body == b"one"
            await client.close()
        assert server.accepted == 2

    run(scenario())


def test_data_on_an_idle_connection_ends_it() -> None:
    async def scenario() -> None:
        async with raw(reply(200, b"one"), 0.05, reply(200, b"smuggled"), "hang") as server:
            client = HttpClient()
            await client.request("GET", server.url)
            await until(lambda: client.connections == (0, 0))
            assert (await client.request("GET", server.url)).body == b"one"
            await client.close()

    run(scenario())


def test_cancelling_frees_the_connection() -> None:
    async def scenario() -> None:
        async with raw(OK, "hang") as server:
            client = HttpClient(HttpSettings(max_connections=1))
            for number in range(1, 4):
                task = asyncio.ensure_future(client.request("GET", server.url))
                await until(lambda: len(server.requests) == number)  # noqa: B023
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await until(lambda: server.open == 0 and client.connections == (0, 0))
            await client.close()

    run(scenario())


def test_cancelling_while_connecting_or_queueing_leaves_nothing() -> None:
    async def scenario() -> None:
        before = len(os.listdir("/proc/self/fd"))
        async with raw("hang") as server:
            client = HttpClient(HttpSettings(max_connections=2))
            tasks = [asyncio.ensure_future(client.request("GET", server.url)) for _ in range(20)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results)
            await client.close()
        await until(lambda: len(os.listdir("/proc/self/fd")) <= before)

    run(scenario())


def test_an_outer_timeout_is_not_taken_for_ours() -> None:
    async def scenario() -> None:
        async with raw("hang") as server:
            client = HttpClient()
            started = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.request("GET", server.url)
            assert time.monotonic() - started < 10
            await client.close()

    run(scenario())


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Takes every file descriptor that the limit leaves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, hard))
    taken = []
    try:
        while True:
            try:
                taken.append(os.dup(0))
            except OSError:
                break
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_descriptor_left(host: str) -> None:
    async def scenario() -> None:
        client = HttpClient()
        with no_descriptors_left(), pytest.raises(HttpTooManyFilesError) as caught:
            await client.request("GET", f"http://{host}:1/")
        assert caught.value.code == "E_TOO_MANY_FILES"
        assert not caught.value.sent
        await client.close()

    run(scenario())
