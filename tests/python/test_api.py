"""Requests to the homeserver in process: what an error says about whether it was asked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from libmatrix.api import Api
from libmatrix.context import Context
from libmatrix.errors import TransportError
from libmatrix.host import Host
from libmatrix.table_gen import ClientOptions, ContextOptions
from tests.support.http_servers import answering, raw, run, serve, until
from tests.support.runtime_host import FakeBridge
from tests.support.web_server import read_request, reply

OLD = {"access_token": "old", "user_id": "@me:x"}


@asynccontextmanager
async def api_of(url: str, **options: Any) -> AsyncIterator[Api]:
    """The way of a client to a homeserver, in the test's own loop."""
    host = Host(FakeBridge(), asyncio.get_running_loop())
    context = Context(host, 1, ContextOptions())
    client = context.create_client(2, ClientOptions(homeserver=url, **{**OLD, **options}))
    assert client.failure is None, client.failure
    try:
        yield client.api
    finally:
        await context.close()
        await asyncio.gather(*host.background)


async def failing(api: Api, method: str = "PUT") -> TransportError:
    """The error of a request that must fail on the way."""
    with pytest.raises(TransportError) as caught:
        await api.call(method, "/_matrix/client/v3/x", body={})
    return caught.value


def test_a_request_that_never_left_says_so() -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with api_of(url) as api:
            error = await failing(api)
            assert (error.code, error.sent) == ("E_CONNECTION", False)

    run(scenario())


def test_a_request_without_answer_may_have_arrived() -> None:
    async def scenario() -> None:
        async with raw("close") as server, api_of(server.url) as api:
            error = await failing(api)
            assert (error.code, error.sent) == ("E_CONNECTION", True)

    run(scenario())


def test_a_request_that_was_sent_once_stays_sent() -> None:
    """The first attempt meets a gateway's 502, the second one nobody."""

    async def scenario() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            server.stop()
            writer.write(reply(502, Connection="close"))

        async with serve(handle) as server, api_of(server.url) as api:
            assert (await failing(api)).sent

    run(scenario())


def test_a_request_sent_on_a_kept_connection_stays_sent() -> None:
    """The kept connection is closed without an answer, and a fresh one cannot be had."""

    async def scenario() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(reply(200, b"{}"))
            await read_request(reader)
            server.stop()

        async with serve(handle) as server, api_of(server.url) as api:
            await api.call("PUT", "/_matrix/client/v3/x", body={})
            assert (await failing(api)).sent

    run(scenario())


def test_a_failed_renewal_says_nothing_about_the_request() -> None:
    """The homeserver refuses the token, so it did nothing; then the renewal breaks off."""

    async def scenario() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await read_request(reader)
            if not request.target.endswith("/refresh"):
                body = b'{"errcode": "M_UNKNOWN_TOKEN", "error": "expired", "soft_logout": true}'
                writer.write(reply(401, body, Connection="close"))

        async with serve(handle) as server, api_of(server.url, refresh_token="more") as api:
            error = await failing(api)
            assert (error.code, error.sent) == ("E_CONNECTION", False)

    run(scenario())


def test_no_limit_for_requests_is_none_for_those_that_wait() -> None:
    """The server takes longer than it was told to wait, and there is no other limit."""

    async def scenario() -> None:
        release = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server.requests.append(await read_request(reader))
            await release.wait()
            writer.write(reply(200, b"{}"))

        async with serve(handle) as server, api_of(server.url, request_timeout_ms=0) as api:
            waiting = asyncio.ensure_future(api.call("GET", "/_matrix/client/v3/x", wait_ms=1))
            await until(lambda: bool(server.requests))
            done, _ = await asyncio.wait([waiting], timeout=0.2)
            assert not done
            release.set()
            assert await waiting == b"{}"

    run(scenario())


def test_a_limit_is_added_to_the_wait() -> None:
    async def scenario() -> None:
        async with raw("hang") as server, api_of(server.url, request_timeout_ms=30) as api:
            with pytest.raises(TransportError, match="within 50 ms") as caught:
                await api.call("GET", "/_matrix/client/v3/x", wait_ms=20)
            assert (caught.value.code, caught.value.sent) == ("E_TIMEOUT", True)
        async with answering(reply(200, b"{}")) as server, api_of(server.url) as api:
            assert await api.call("GET", "/_matrix/client/v3/x", wait_ms=20) == b"{}"

    run(scenario())
