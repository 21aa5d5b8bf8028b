"""OAuth 2.0 and the listener on 127.0.0.1, against a fake issuer; also one that lies."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from libmatrix.api import refusal
from tests.support.issuer import USER, Issuer, Json, Reply, browse
from tests.support.runtime_host import CONTEXT, SECONDS, RuntimeHost
from tests.support.web_server import Answer, Received

PROGRAM = {"client_uri": "https://example.org/app", "client_name": "A test"}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


def answer_call(host: RuntimeHost) -> str:
    """Waits until the host shall open a URL, says that it has, and gives the URL."""
    call = host.until(lambda: host.calls).popleft()
    assert call.payload["name"] == "open_url"
    host.bridge.send("respond", CONTEXT, 0, call.target, "", {})
    return str(call.payload["payload"]["url"])


def log_in(host: RuntimeHost, issuer: Issuer, client: int, **options: Any) -> Any:
    request = host.submit(client, "login_oauth", **PROGRAM, **options)
    status, page = issuer.approve(answer_call(host))
    assert status == 200 and "close this window" in page
    frame = host.wait(request)
    assert frame.is_ok, frame.payload
    return frame.payload


def fail(host: RuntimeHost, client: int, **options: Any) -> Any:
    return host.refuse(client, "login_oauth", **PROGRAM, **options)


def lie(path: str, *answer: Any) -> Any:
    return lambda asked, fields: answer if asked == path else None


def lying(issuer: Issuer, /, **changed: Any) -> None:
    """The metadata with some of it changed; None removes it."""
    told = {k: v for k, v in (issuer.metadata() | changed).items() if v is not None}
    issuer.lie = lie("/_matrix/client/v1/auth_metadata", 200, told)


def test_login_renew_and_revoke(host: RuntimeHost, issuer: Issuer, tmp_path: Path) -> None:
    client = host.client(issuer.url, store_path=str(tmp_path))
    login = log_in(host, issuer, client)
    assert login["user_id"] == USER and len(login["device_id"]) >= 10
    [registered] = issuer.clients.values()
    assert registered["application_type"] == "native"
    assert registered["token_endpoint_auth_method"] == "none"
    assert host.call(client, "account")["has_refresh_token"]
    [before] = issuer.access
    assert host.call(client, "refresh_session")["expires_in_ms"] > 3_000_000
    after = set(issuer.access) - {before}
    issuer.access.pop(before)
    assert host.call(client, "whoami")["device_id"] == login["device_id"]
    # Another process goes on with it.
    host.send("close_client", client)
    client = host.client(issuer.url, store_path=str(tmp_path))
    issuer.access.clear()
    assert host.call(client, "whoami")["user_id"] == USER
    refused = host.refuse(client, "logout", everywhere=True)
    assert refused["code"] == "E_INVALID_ARGUMENT"
    host.call(client, "logout")
    assert issuer.revoked == ["refresh_token", "access_token"] and not issuer.access
    assert not host.call(client, "account")["is_logged_in"]
    assert not any(token in str(host.logs) for token in after)


def test_a_soft_logout_keeps_device_and_program(host: RuntimeHost, issuer: Issuer) -> None:
    client = host.client(issuer.url)
    first = log_in(host, issuer, client)
    issuer.access.clear()
    issuer.refresh.clear()
    assert host.refuse(client, "whoami")["code"] == "M_UNKNOWN_TOKEN"
    account = host.call(client, "account")
    assert (account["is_logged_in"], account["device_id"]) == (False, first["device_id"])
    assert log_in(host, issuer, client) == first
    assert len(issuer.clients) == 1


def test_device_grant(host: RuntimeHost, issuer: Issuer) -> None:
    client = host.client(issuer.url)
    frame = host.wait(host.submit(client, "login_oauth_device", **PROGRAM, device_id="ABCDEFGHIJ"))
    assert frame.is_ok and frame.payload["device_id"] == "ABCDEFGHIJ"
    [report] = host.progress
    assert report.payload["user_code"] == "WDJB-MJHT"
    assert report.payload["verification_uri"] == f"{issuer.url}/link"
    assert host.call(client, "whoami")["user_id"] == USER


def test_a_login_that_the_close_came_into_is_undone(host: RuntimeHost, issuer: Issuer) -> None:
    """And no connection is left."""
    client = host.client(issuer.url)
    truth, is_asked, is_closed = issuer.respond, threading.Event(), threading.Event()

    def respond(request: Received) -> Answer:
        if request.parts.path.endswith("/whoami"):
            is_asked.set()
            is_closed.wait(SECONDS)
        return truth(request)

    issuer.respond = respond  # type: ignore[method-assign]
    request = host.submit(client, "login_oauth_device", **PROGRAM)
    host.until(is_asked.is_set)
    host.send("close_client", client)
    assert host.wait(request).payload["code"] == "E_CANCELLED"
    is_closed.set()
    assert issuer.revoked == ["refresh_token", "access_token"] and not issuer.access
    host.until(lambda: host.inside(lambda: not host.runtime._host.connections._clients))


@pytest.mark.parametrize(
    ("error", "code"), [("access_denied", "E_OAUTH"), ("expired_token", "E_TIMEOUT")]
)
def test_device_grant_is_refused(host: RuntimeHost, issuer: Issuer, error: str, code: str) -> None:
    issuer.lie = lie("/token", 400, {"error": error})
    refused = host.refuse(host.client(issuer.url), "login_oauth_device", **PROGRAM)
    assert refused["code"] == code


@pytest.mark.parametrize(
    "changed",
    [
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "http://evil.test/"},
        {"user_code": "A\nB"},
        {"user_code": ""},
        {"expires_in": 0},
        {"expires_in": "soon"},
        {"device_code": ""},
    ],
)
def test_device_grant_with_lies(host: RuntimeHost, issuer: Issuer, changed: Json) -> None:
    told = {"device_code": "d", "user_code": "u", "verification_uri": f"{issuer.url}/link"}
    issuer.lie = lie("/device", 200, told | {"expires_in": 5} | changed)
    refused = host.refuse(host.client(issuer.url), "login_oauth_device", **PROGRAM)
    assert refused["code"] == "E_OAUTH" and not host.progress


@pytest.mark.parametrize(
    "changed",
    [
        {"token_endpoint": "http://evil.test/token"},
        {"issuer": "https://user:password@evil.test/"},
        {"authorization_endpoint": "file:///etc/passwd"},
        {"revocation_endpoint": "not a URL"},
        {"code_challenge_methods_supported": ["plain"]},
        {"code_challenge_methods_supported": None},
        {"grant_types_supported": ["implicit"]},
        {"response_modes_supported": ["fragment"]},
        {"authorization_endpoint": None},
        {"registration_endpoint": None},
    ],
)
def test_metadata_that_must_not_be_trusted(
    host: RuntimeHost, issuer: Issuer, changed: Json
) -> None:
    lying(issuer, **changed)
    assert fail(host, host.client(issuer.url))["code"] == "E_OAUTH"
    assert not host.calls and "evil" not in str(host.logs)


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"issuer":1}', b"x" * 300_000])
def test_metadata_that_is_none(host: RuntimeHost, issuer: Issuer, body: bytes) -> None:
    issuer.lie = lie("/_matrix/client/v1/auth_metadata", 200, body)
    assert fail(host, host.client(issuer.url))["code"] == "E_INVALID_RESPONSE"


def test_a_homeserver_without_oauth(host: RuntimeHost, issuer: Issuer) -> None:
    metadata = "/_matrix/client/v1/auth_metadata"
    issuer.lie = lie(metadata, 404, {"errcode": "M_UNRECOGNIZED", "error": "no"})
    client = host.client(issuer.url)
    assert fail(host, client)["code"] == "M_UNRECOGNIZED"
    refused = host.refuse(host.client(issuer.url), "login_oauth")
    assert refused["code"] == "M_UNRECOGNIZED"


def test_a_program_must_say_what_it_is(host: RuntimeHost, issuer: Issuer) -> None:
    refused = host.refuse(host.client(issuer.url), "login_oauth")
    assert refused["code"] == "E_INVALID_ARGUMENT" and "client_uri" in refused["message"]
    request = host.submit(host.client(issuer.url), "login_oauth", client_id="known")
    assert "client_id=known&" in answer_call(host)
    host.send("cancel", 0, request)


@pytest.mark.parametrize(
    "told",
    [
        {"access_token": "", "token_type": "Bearer"},
        {"access_token": "a b", "token_type": "Bearer"},
        {"access_token": "a\r\nX: y", "token_type": "Bearer"},
        {"access_token": "a", "token_type": "mac"},
        {"access_token": "a", "token_type": "Bearer", "expires_in": -1, "refresh_token": "é"},
        {"access_token": "a", "token_type": "Bearer", "scope": "openid"},
        {"access_token": ["a"], "token_type": "Bearer"},
        b"<html>",
        b"",
    ],
)
def test_tokens_that_are_none(host: RuntimeHost, issuer: Issuer, told: Any) -> None:
    issuer.lie = lie("/token", 200, told)
    client = host.client(issuer.url)
    request = host.submit(client, "login_oauth", **PROGRAM)
    issuer.approve(answer_call(host))
    frame = host.wait(request)
    assert not frame.is_ok and frame.payload["code"] == "E_OAUTH"
    assert not host.call(client, "account")["is_logged_in"]


def test_a_redirect_of_the_token_request_is_not_followed(host: RuntimeHost, issuer: Issuer) -> None:
    issuer.lie = lie("/token", 307, {})
    request = host.submit(host.client(issuer.url), "login_oauth", **PROGRAM)
    issuer.approve(answer_call(host))
    assert host.wait(request).payload["code"] == "E_OAUTH"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.test/"},
        {"error": "access_denied", "error_description": "no\x00\n<b>way"},
        {"code": ""},
        {"code": "made-up"},
    ],
)
def test_what_the_browser_brings_is_checked(
    host: RuntimeHost, issuer: Issuer, changed: dict[str, str]
) -> None:
    client = host.client(issuer.url)
    request = host.submit(client, "login_oauth", **PROGRAM)
    issuer.approve(answer_call(host), **changed)
    frame = host.wait(request)
    assert frame.payload["code"] == "E_OAUTH" and frame.payload["message"].isprintable()


def test_another_authorization_server_gets_no_tokens(host: RuntimeHost, issuer: Issuer) -> None:
    client = host.client(issuer.url)
    log_in(host, issuer, client)
    lying(issuer, issuer="https://evil.test/")
    asked = len(issuer.asked)
    assert host.refuse(client, "refresh_session")["code"] == "E_OAUTH"
    assert [path for path, _ in issuer.asked[asked:]] == ["/_matrix/client/v1/auth_metadata"]
    assert host.call(client, "account")["is_logged_in"]


def test_somebody_elses_token_is_given_back(host: RuntimeHost, issuer: Issuer) -> None:
    client = host.client(issuer.url, user_id="@bob:issuer.test")
    request = host.submit(client, "login_oauth", **PROGRAM)
    issuer.approve(answer_call(host))
    assert host.wait(request).payload["code"] == "E_ALREADY_LOGGED_IN"
    assert issuer.revoked == ["refresh_token", "access_token"]


# -- the listener ---------------------------------------------------------------------------------


def listening(host: RuntimeHost, issuer: Issuer) -> tuple[int, str, str]:
    """A login that waits: the request, where it listens, and the state."""
    request = host.submit(host.client(issuer.url), "login_oauth", **PROGRAM)
    query = parse_qs(urlsplit(answer_call(host)).query)
    return request, query["redirect_uri"][0], query["state"][0]


def send_raw(url: str, data: bytes) -> bytes:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.connect()
    try:
        connection.sock.sendall(data)
        return connection.sock.recv(100)
    finally:
        connection.close()


def test_the_listener_takes_nothing_else(host: RuntimeHost, issuer: Issuer) -> None:
    request, url, state = listening(host, issuer)
    assert urlsplit(url).hostname == "127.0.0.1"
    right = f"{url}?code=c&state={state}"
    assert browse(f"{url}?code=c&state=wrong")[0] == 400
    assert browse(f"{url}?code=c")[0] == 400
    assert browse(f"{url}?code=c&code=d&state={state}")[0] == 400
    assert browse(f"{url}favicon.ico")[0] == 404
    assert browse(right, method="POST", data=b"x")[0] == 405
    assert browse(right, method="HEAD")[0] == 405
    assert browse(right, headers={"Host": "evil.test"})[0] == 400
    assert b" 400 " in send_raw(url, b"nonsense\r\n\r\n")
    assert send_raw(url, b"GET / HTTP/1.1\r\n" + b"x" * 70_000 + b"\r\n\r\n") == b""
    assert request not in host.results
    status, page = browse(f"{url}?error=access_denied&state={state}")
    assert status == 200 and "access_denied" not in page
    assert host.wait(request).payload["code"] == "E_OAUTH"
    with pytest.raises(OSError):
        browse(right)


def test_the_listener_ends_with_the_time_and_with_the_request(
    host: RuntimeHost, issuer: Issuer
) -> None:
    client = host.client(issuer.url)
    request = host.submit(client, "login_oauth", **PROGRAM, timeout_ms=300)
    url = parse_qs(urlsplit(answer_call(host)).query)["redirect_uri"][0]
    assert host.wait(request).payload["code"] == "E_TIMEOUT"
    with pytest.raises(OSError):
        browse(url)
    request = host.submit(client, "login_oauth", **PROGRAM)
    url = parse_qs(urlsplit(answer_call(host)).query)["redirect_uri"][0]
    host.bridge.send("cancel", CONTEXT, client, request, "", None)
    assert host.wait(request).payload["code"] == "E_CANCELLED"
    with pytest.raises(OSError):
        browse(url)


def test_a_host_that_opens_nothing(host: RuntimeHost, issuer: Issuer) -> None:
    request = host.submit(host.client(issuer.url), "login_oauth", **PROGRAM)
    call = host.until(lambda: host.calls).popleft()
    host.bridge.send("respond", CONTEXT, 0, call.target, "E_NOT_HANDLED", None)
    assert host.wait(request).payload["code"] == "E_NOT_HANDLED"


def test_refusals_without_a_matrix_error() -> None:
    answer: Reply = (401, b'{"flows":[],"session":"s"}')
    assert refusal(answer[0], {}, bytes(answer[1])).code == "M_UNAUTHORIZED"  # type: ignore[arg-type]
