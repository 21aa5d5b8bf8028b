"""Proxies: taken only where asked for, by their own errors where they fail."""

from __future__ import annotations

import pytest

from libmatrix.http.client import (
    HttpArgumentError,
    HttpClient,
    HttpProxyError,
    HttpSettings,
    HttpTimeoutError,
    HttpTlsError,
)
from libmatrix.http.proxy import ProxyRules, parse_proxy
from libmatrix.http.url import Origin
from tests.support.certificates import Authority
from tests.support.http_servers import (
    Server,
    answering,
    ask,
    http_proxy,
    raw,
    refusal,
    run,
    socks_proxy,
    until,
)
from tests.support.web_server import reply

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def with_login(proxy: Server, scheme: str, user: str, password: str) -> str:
    return f"{scheme}://{user}:{password}@{proxy.host}:{proxy.port}"


def test_http_through_an_http_proxy_names_the_whole_url() -> None:
    async def scenario() -> None:
        async with answering(reply(200, b"there")) as server, http_proxy() as proxy:
            assert await ask(f"{server.url}/a?b", proxy=proxy.url) == b"there"
            assert proxy.requests[0].target == f"{server.url}/a?b"
            assert server.requests[0].target == "/a?b"

    run(scenario())


def test_https_through_an_http_proxy_is_a_tunnel(authority: Authority) -> None:
    async def scenario() -> None:
        context = authority.server("IP:127.0.0.1")
        async with answering(reply(200, b"there"), tls=context) as server, http_proxy() as proxy:
            client = HttpClient(HttpSettings(ca_file=str(authority.file), proxy=proxy.url))
            for _ in range(3):
                headers = {"Authorization": "Bearer hunter2"}
                answer = await client.request("GET", f"{server.url}/secret", headers=headers)
                assert answer.body == b"there"
            await client.close()
            await until(lambda: proxy.open == 0)
        assert [request.method for request in proxy.requests] == ["CONNECT"]
        assert proxy.requests[0].target == f"127.0.0.1:{server.port}"
        assert "authorization" not in proxy.requests[0].headers

    run(scenario())


def test_https_through_an_https_proxy(authority: Authority) -> None:
    async def scenario() -> None:
        context = authority.server("IP:127.0.0.1")
        async with (
            answering(reply(200, b"there"), tls=context) as server,
            http_proxy(tls=authority.server("IP:127.0.0.1")) as proxy,
        ):
            body = await ask(server.url, ca_file=str(authority.file), proxy=proxy.url)
            assert body == b"there"

    run(scenario())


def test_the_far_certificate_is_checked_through_a_tunnel(authority: Authority) -> None:
    async def scenario() -> None:
        context = authority.server("IP:127.0.0.9")
        async with (
            answering(reply(), tls=context) as server,
            http_proxy() as proxy,
            socks_proxy() as socks,
        ):
            for url in (proxy.url, f"socks5://{socks.host}:{socks.port}"):
                error = await refusal(server.url, ca_file=str(authority.file), proxy=url)
                assert isinstance(error, HttpTlsError)

    run(scenario())


@pytest.mark.parametrize("tunnel", [False, True])
def test_http_proxy_login(authority: Authority, tunnel: bool) -> None:
    async def scenario() -> None:
        context = authority.server("IP:127.0.0.1") if tunnel else None
        ca_file = str(authority.file)
        async with (
            answering(reply(200, b"there"), tls=context) as server,
            http_proxy("Basic dXNlcjpwOnc=") as proxy,
        ):
            good = with_login(proxy, "http", "user", "p%3Aw")
            assert await ask(server.url, ca_file=ca_file, proxy=good) == b"there"
            for bad in (with_login(proxy, "http", "user", "hunter2"), proxy.url):
                error = await refusal(server.url, ca_file=ca_file, proxy=bad)
                assert isinstance(error, HttpProxyError)
                assert "407" in str(error)

    run(scenario())


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("login", [None, (b"user", b"hunter2")])
def test_socks(authority: Authority, tls: bool, login: tuple[bytes, bytes] | None) -> None:
    async def scenario() -> None:
        context = authority.server("IP:127.0.0.1") if tls else None
        async with (
            answering(reply(200, b"there"), tls=context) as server,
            socks_proxy(login) as proxy,
        ):
            url = with_login(proxy, "socks5", "user", "hunter2")
            assert await ask(server.url, ca_file=str(authority.file), proxy=url) == b"there"
            assert proxy.requests[0].target == f"127.0.0.1:{server.port}"

    run(scenario())


@pytest.mark.parametrize(("scheme", "seen"), [("socks5", "127.0.0.1"), ("socks5h", "localhost")])
def test_who_resolves_the_name(scheme: str, seen: str) -> None:
    async def scenario() -> None:
        async with (
            answering(reply(200, b"there")) as server,
            socks_proxy(names={"localhost": "127.0.0.1", "0.0.0.1": "127.0.0.1"}) as proxy,
        ):
            url = f"{scheme}://{proxy.host}:{proxy.port}"
            host = "localhost" if scheme == "socks5h" else "127.0.0.1"
            assert await ask(f"http://{host}:{server.port}", proxy=url) == b"there"
            assert proxy.requests[0].target == f"{seen}:{server.port}"

    run(scenario())


def test_socks_refusals() -> None:
    async def scenario() -> None:
        async with socks_proxy(refuse=5) as proxy, socks_proxy((b"user", b"right")) as locked:
            error = await refusal("http://127.0.0.1:1", proxy=f"socks5://127.0.0.1:{proxy.port}")
            assert isinstance(error, HttpProxyError)
            assert "connection refused" in str(error)
            assert not error.sent
            for url in (
                with_login(locked, "socks5", "user", "hunter2"),
                f"socks5://127.0.0.1:{locked.port}",
            ):
                error = await refusal("http://127.0.0.1:1", proxy=url)
                assert isinstance(error, HttpProxyError)

    run(scenario())


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_what_is_no_proxy(scheme: str) -> None:
    async def scenario() -> None:
        async with raw(b"\x00\x00nonsense\r\n\r\n", "hang") as server:
            url = f"{scheme}://127.0.0.1:{server.port}"
            if scheme == "http":
                error = await refusal("https://127.0.0.1:1", proxy=url)
                assert isinstance(error, HttpProxyError)
        async with raw() as gone:
            port = gone.port
        error = await refusal("https://127.0.0.1:1", proxy=f"{scheme}://127.0.0.1:{port}")
        assert isinstance(error, HttpProxyError)
        assert f"proxy 127.0.0.1:{port}" in str(error)

    run(scenario())


def test_a_proxy_that_stalls_ends_with_the_connect_limit() -> None:
    async def scenario() -> None:
        async with raw("hang") as proxy:
            for scheme in ("http", "socks5"):
                url = f"{scheme}://127.0.0.1:{proxy.port}"
                error = await refusal("https://127.0.0.1:1", proxy=url, connect_timeout_ms=150)
                assert isinstance(error, HttpTimeoutError)
            await until(lambda: proxy.open == 0)

    run(scenario())


def test_a_proxy_reply_without_end_is_refused() -> None:
    async def scenario() -> None:
        async with raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000, "hang") as proxy:
            error = await refusal("https://127.0.0.1:1", proxy=proxy.url)
            assert isinstance(error, HttpProxyError)
            assert "too long" in str(error)

    run(scenario())


def test_the_environment_counts_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with answering(reply(200, b"there")) as server, http_proxy() as proxy:
            for name in VARIABLES[:3]:
                monkeypatch.setenv(name, proxy.url)
                monkeypatch.setenv(name.upper(), proxy.url)
            assert await ask(server.url) == b"there"
            assert not proxy.requests
            assert await ask(server.url, use_environment=True) == b"there"
            assert len(proxy.requests) == 1
            monkeypatch.setenv("NO_PROXY", "other.example, 127.0.0.1")
            assert await ask(server.url, use_environment=True) == b"there"
            assert len(proxy.requests) == 1

    run(scenario())


@pytest.mark.parametrize(
    ("entry", "host", "bypassed"),
    [
        ("*", "example.org", True),
        ("example.org", "example.org", True),
        (".example.org", "matrix.example.org", True),
        ("example.org", "matrix.example.org", True),
        ("*.example.org", "matrix.example.org", True),
        ("example.org", "notexample.org", False),
        ("example.org:443", "example.org", True),
        ("example.org:80", "example.org", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("fd00::/8", "fd00::1", True),
        ("10.0.0.0/8", "example.org", False),
        ("", "example.org", False),
    ],
)
def test_no_proxy(entry: str, host: str, bypassed: bool) -> None:
    rules = ProxyRules(None, {"HTTPS_PROXY": "proxy.example:3128", "NO_PROXY": f"x,{entry}"})
    assert (rules.proxy_for(Origin("https", host, 443)) is None) is bypassed
    assert rules.proxy_for(Origin("http", "plain.example", 80)) is None


def test_a_header_of_a_web_client_does_not_name_the_proxy() -> None:
    environment = {"HTTP_PROXY": "http://evil.example", "REQUEST_METHOD": "GET"}
    assert ProxyRules(None, environment).proxy_for(Origin("http", "a.example", 80)) is None


def test_a_proxy_prints_without_its_password() -> None:
    proxy = parse_proxy("socks5h://user:hunter2@proxy.example")
    assert (proxy.user, proxy.password, proxy.origin.port) == (b"user", b"hunter2", 1080)
    assert repr(proxy) == "Proxy(socks5h://proxy.example:1080)"
    with pytest.raises(HttpArgumentError, match="too long"):
        parse_proxy(f"socks5://user:{'x' * 256}@proxy.example")
