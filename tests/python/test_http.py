"""The HTTP client against well-behaved servers: requests, answers, connections."""

from __future__ import annotations

import asyncio
import gzip
import signal
import threading

import pytest

from libmatrix.http.client import (
    HttpClient,
    HttpClosedError,
    HttpConnectionError,
    HttpResponse,
    HttpSettings,
    HttpTooLargeError,
)
from tests.support.http_servers import answering, raw, run, serve, until
from tests.support.web_server import read_request, reply


def test_request_carries_what_was_given() -> None:
    async def scenario() -> None:
        async with answering(reply(201, b'{"ok":1}', X_One="1")) as server:
            client = HttpClient(HttpSettings(user_agent="tests/1"))
            answer = await client.request(
                "PUT", f"{server.url}/a/%21b?c=d", headers={"Authorization": "Bearer t"}, body=b"{}"
            )
            await client.close()
        assert (answer.status, answer.body) == (201, b'{"ok":1}')
        assert answer.headers["x-one"] == "1"
        request = server.requests[0]
        assert (request.method, request.target, request.body) == ("PUT", "/a/%21b?c=d", b"{}")
        assert request.headers["authorization"] == "Bearer t"
        assert request.headers["user-agent"] == "tests/1"
        assert request.headers["host"] == f"127.0.0.1:{server.port}"

    run(scenario())


def test_posts_say_their_length_even_without_a_body() -> None:
    async def scenario() -> None:
        async with answering(reply()) as server:
            client = HttpClient()
            await client.request("POST", server.url)
            await client.request("GET", server.url)
            await client.close()
        assert server.requests[0].headers["content-length"] == "0"
        assert "content-length" not in server.requests[1].headers

    run(scenario())


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HINTS = b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 100 Go\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde"),
        (CHUNKED + b"1\r\nx\r\n0\r\nTrailer: t\r\n\r\n", b"x"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (HINTS + reply(200, b"real"), b"real"),
    ],
)
def test_every_framing_leaves_the_connection_usable(answer: bytes, body: bytes) -> None:
    async def scenario() -> None:
        async with answering(answer) as server:
            client = HttpClient()
            for _ in range(3):
                response = await client.request("GET", server.url)
                assert response.body == body
                assert "a" not in response.headers
            await client.close()
        assert server.accepted == 1

    run(scenario())


def test_a_body_may_end_with_the_connection() -> None:
    async def scenario() -> None:
        async with raw(b"HTTP/1.0 200 OK\r\n\r\nall ", b"of it", "close") as server:
            client = HttpClient()
            for _ in range(2):
                assert (await client.request("GET", server.url)).body == b"all of it"
            await client.close()
        assert server.accepted == 2

    run(scenario())


def test_head_answers_have_no_body() -> None:
    async def scenario() -> None:
        async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n") as server:
            client = HttpClient()
            answer = await client.request("HEAD", server.url)
            assert (answer.headers["content-length"], answer.body) == ("5", b"")
            await client.close()

    run(scenario())


def test_repeated_headers_are_joined() -> None:
    async def scenario() -> HttpResponse:
        head = b"HTTP/1.1 200 OK\r\nVia: a\r\nvia: b\r\nContent-Length: 0\r\n\r\n"
        async with answering(head) as server:
            client = HttpClient()
            answer = await client.request("GET", server.url)
            await client.close()
            return answer

    assert run(scenario()).headers["via"] == "a, b"


def test_gzip_is_undone_also_in_several_members() -> None:
    async def scenario() -> None:
        packed = gzip.compress(b"one " * 100_000) + gzip.compress(b"two")
        async with answering(reply(200, packed, Content_Encoding="gzip")) as server:
            client = HttpClient()
            answer = await client.request("GET", server.url)
            await client.close()
        assert answer.body == b"one " * 100_000 + b"two"
        assert server.requests[0].headers["accept-encoding"] == "gzip"

    run(scenario())


def test_a_body_of_many_reads_arrives_whole() -> None:
    body = bytes(range(256)) * 80_000

    async def scenario() -> None:
        async with answering(reply(200, body)) as server:
            client = HttpClient()
            assert (await client.request("GET", server.url)).body == body
            with pytest.raises(HttpTooLargeError, match=f"{len(body) - 1} bytes"):
                await client.request("GET", server.url, max_response_bytes=len(body) - 1)
            exact = await client.request("GET", server.url, max_response_bytes=len(body))
            assert len(exact.body) == len(body)
            await client.close()

    run(scenario())


def test_connections_are_kept_and_shared() -> None:
    async def scenario() -> None:
        async with answering(reply(200, b"x")) as server:
            client = HttpClient()
            await asyncio.gather(*[client.request("GET", server.url) for _ in range(4)])
            opened = server.accepted
            for _ in range(20):
                await client.request("GET", server.url)
            assert server.accepted == opened <= 4
            assert client.connections == (0, opened)
            await client.close()
            assert client.connections == (0, 0)
            await until(lambda: server.open == 0)

    run(scenario())


def test_connection_close_is_honoured() -> None:
    async def scenario() -> None:
        async with answering(reply(200, b"x", Connection="close")) as server:
            client = HttpClient()
            for _ in range(2):
                await client.request("GET", server.url)
            assert (server.accepted, client.connections[1]) == (2, 0)
            await client.close()

    run(scenario())


def test_repeatable_requests_survive_a_dead_kept_connection() -> None:
    async def scenario() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server.requests.append(await read_request(reader))
            writer.write(reply(200, b"first"))
            server.requests.append(await read_request(reader))  # and closes without an answer

        async with serve(handle) as server:
            client = HttpClient()
            for _ in range(3):
                assert (await client.request("GET", server.url)).body == b"first"
            with pytest.raises(HttpConnectionError, match="closed before answering") as caught:
                await client.request("POST", server.url, body=b"once")
            assert caught.value.sent
            await client.close()
        assert [request.method for request in server.requests].count("POST") == 1

    run(scenario())


def test_connections_the_server_closed_are_not_used() -> None:
    async def scenario() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(reply(200, b"x"))
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        async with serve(handle) as server:
            client = HttpClient()
            for number in range(1, 4):
                await client.request("POST", server.url)
                await until(lambda: client.connections == (0, 0))
                assert server.accepted == number
            await client.close()

    run(scenario())


def test_max_connections_holds_and_long_polls_do_not_count() -> None:
    async def scenario() -> None:
        release = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                if (await read_request(reader)).target == "/poll":
                    await release.wait()
                writer.write(reply())

        async with serve(handle) as server:
            client = HttpClient(HttpSettings(max_connections=2))
            polls = [
                asyncio.ensure_future(client.request("GET", f"{server.url}/poll", long_poll=True))
                for _ in range(5)
            ]
            await until(lambda: server.accepted == 5)
            await asyncio.gather(*[client.request("GET", server.url) for _ in range(30)])
            assert server.accepted <= 7
            release.set()
            assert all(poll.status == 200 for poll in await asyncio.gather(*polls))
            await client.close()

    run(scenario())


def test_redirects_are_answers_unless_asked_for() -> None:
    async def scenario() -> None:
        async with answering(reply(200, b"there")) as there:
            away = reply(302, Location=f"{there.url}/new")
            async with answering(reply(307, Location="/next?a=b"), away, away) as here:
                client = HttpClient()
                first = await client.request("GET", here.url)
                assert (first.status, first.headers["location"]) == (307, "/next?a=b")
                secret = {"Authorization": "Bearer t", "X-Kept": "1"}
                second = await client.request("GET", here.url, headers=secret, max_redirects=1)
                assert second.body == b"there"
                assert "authorization" not in there.requests[0].headers
                assert there.requests[0].headers["x-kept"] == "1"
                third = await client.request("POST", here.url, max_redirects=3)
                assert third.status == 302
                await client.close()

    run(scenario())


@pytest.mark.parametrize(
    "location",
    [
        "//[",
        "//[x]",
        "http://a[b",
        "//u@127.0.0.1",
        "//127.0.0.1:99999",
        "?access_token=t",
        "ftp://x",
    ],
)
def test_a_redirect_that_leads_nowhere_is_an_answer(location: str) -> None:
    async def scenario() -> None:
        async with answering(reply(302, Location=location)) as server:
            client = HttpClient()
            answer = await client.request("GET", server.url, max_redirects=3)
            assert answer.headers["location"] == location
            await client.close()

    run(scenario())


def test_a_redirect_on_the_same_origin_keeps_the_token() -> None:
    async def scenario() -> None:
        loop_to_itself = reply(302, Location="/again")
        async with answering(loop_to_itself) as server:
            client = HttpClient()
            headers = {"Authorization": "Bearer t"}
            answer = await client.request("GET", server.url, headers=headers, max_redirects=3)
            await client.close()
        assert answer.status == 302
        assert [request.target for request in server.requests] == ["/"] + ["/again"] * 3
        assert all("authorization" in request.headers for request in server.requests)

    run(scenario())


def test_ipv6_loopback() -> None:
    async def scenario() -> None:
        async with answering(reply(200, b"six"), host="::1") as server:
            client = HttpClient()
            assert (await client.request("GET", server.url)).body == b"six"
            await client.close()
        assert server.requests[0].headers["host"] == f"[::1]:{server.port}"

    run(scenario())


def test_a_name_with_several_addresses_finds_the_one_that_answers() -> None:
    async def scenario() -> None:
        async with answering(reply(200, b"four")) as server:
            client = HttpClient()
            answer = await client.request("GET", f"http://localhost:{server.port}/")
            await client.close()
        assert answer.body == b"four"

    run(scenario())


def test_what_is_printed_holds_no_secret() -> None:
    settings = HttpSettings(proxy="http://user:hunter2@127.0.0.1:1")
    answer = HttpResponse(200, {"set-cookie": "hunter2"}, b"hunter2")
    assert "hunter2" not in f"{settings!r} {settings} {answer!r} {answer}"


def test_a_closed_client_says_so() -> None:
    async def scenario() -> None:
        async with raw("hang") as server:
            client = HttpClient()
            waiting = asyncio.ensure_future(client.request("GET", server.url))
            await until(lambda: bool(server.requests))
            await client.close()
            with pytest.raises(HttpClosedError) as caught:
                await waiting
            assert caught.value.sent
            with pytest.raises(HttpClosedError) as caught:
                await client.request("GET", server.url)
            assert not caught.value.sent

    run(scenario())


def test_equal_settings_are_equal_keys() -> None:
    one, other = HttpSettings(user_agent="a"), HttpSettings(user_agent="a")
    assert {one: 1} == {other: 1}
    assert one != HttpSettings(user_agent="b")


def test_it_works_off_the_main_thread_and_leaves_the_process_alone() -> None:
    async def scenario() -> None:
        async with answering(reply(200, b"x")) as server:
            client = HttpClient()
            await client.request("GET", server.url)
            seen.append(threading.active_count() - threads)
            await client.close()

    seen: list[int] = []
    threads = threading.active_count()
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    worker = threading.Thread(target=lambda: run(scenario()))
    worker.start()
    worker.join()
    assert seen == [1]  # the worker itself
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == handlers
