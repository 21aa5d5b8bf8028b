"""What the HTTP module refuses before anything is sent."""

from __future__ import annotations

import pytest

from libmatrix.http.client import HttpArgumentError, HttpClient, HttpSettings
from tests.support.http_servers import run


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "/path", "ftp://example.org/", "http://", "http://a b/",
        "http://example.org/a b", "http://example.org/ä", "http://example.org\r\nX: y/",
        "http://example.org/\r\nX: y", "http://example.org:0/", "http://example.org:99999/",
        "http://user:hunter2@example.org/", "http://example.org/?access_token=hunter2",
        "http://[::1/", "http://\\evil/",
    ],
)  # fmt: skip
def test_bad_urls_are_refused_without_repeating_them(url: str) -> None:
    async def scenario() -> None:
        with pytest.raises(HttpArgumentError, match=r"^url: ") as caught:
            await HttpClient().request("GET", url)
        assert "hunter2" not in str(caught.value)
        assert not caught.value.sent

    run(scenario())


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("get", {}), ("GET ", {}), ("GET\r\n", {}), ("", {}),
        ("GET", {"X": "secret\r\nInjected: 1"}), ("GET", {"X": "secret\0"}),
        ("GET", {"X y": "secret"}), ("GET", {"": "secret"}), ("GET", {"X": "secret€"}),
        ("GET", {"Content-Length": "1"}), ("GET", {"Host": "secret"}),
        ("GET", {"Transfer-Encoding": "chunked"}),
    ],
)  # fmt: skip
def test_bad_heads_are_refused_without_repeating_them(method: str, headers: dict[str, str]) -> None:
    async def scenario() -> None:
        with pytest.raises(HttpArgumentError) as caught:
            await HttpClient().request(method, "http://127.0.0.1:1/", headers=headers)
        assert "secret" not in str(caught.value)

    run(scenario())


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (HttpSettings(connect_timeout_ms=0), "connect_timeout_ms"),
        (HttpSettings(request_timeout_ms=-1), "request_timeout_ms"),
        (HttpSettings(stall_timeout_ms=-5), "stall_timeout_ms"),
        (HttpSettings(max_connections=0), "max_connections"),
        (HttpSettings(max_response_bytes=-1), "max_response_bytes"),
        (HttpSettings(user_agent="a\nb"), "user_agent"),
        (HttpSettings(ca_file="/nowhere/ca.pem"), "ca_file"),
        (HttpSettings(proxy="gopher://x"), "proxy"),
        (HttpSettings(proxy="no url"), "proxy"),
    ],
)
def test_bad_settings_name_themselves(settings: HttpSettings, name: str) -> None:
    with pytest.raises(HttpArgumentError, match=f"^{name}: "):
        HttpClient(settings)
