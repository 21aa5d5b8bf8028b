"""From a server name to its homeserver: over TLS, by a proxy behind which every name is ours."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from libmatrix.auth.discovery import check_server_name, is_safe
from libmatrix.errors import ArgumentError
from tests.support.certificates import Authority
from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, ScriptedServer
from tests.support.world import World

NAME = "example.test"
WELL_KNOWN = f"{NAME}/.well-known/matrix/client"
VERSIONS = "/_matrix/client/versions"
SPOKEN = {"versions": ["r0.6.1", "v1.11"]}
HOME = "https://matrix.example.test"
BACK = "http://127.0.0.1:1/"


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    return authority.server(f"DNS:{NAME},DNS:*.{NAME}")


@pytest.fixture
def world(tls: ssl.SSLContext) -> Iterator[World]:
    with World(tls) as running:
        yield running


@pytest.fixture
def find(host: RuntimeHost, world: World, authority: Authority) -> Any:
    """Looks a server name up; gives the base URL or the error."""

    def look(name: str = NAME) -> Any:
        client = host.client(name, proxy=world.proxy, ca_file=str(authority.file))
        frame = host.wait(host.submit(client, "sso_url", redirect_url=BACK))
        if not frame.is_ok:
            return frame.payload["code"]
        return frame.payload["url"].partition("/_matrix")[0]

    return look


def test_a_server_name_leads_to_its_homeserver(find: Any, world: World) -> None:
    world.pages[WELL_KNOWN] = {"m.homeserver": {"base_url": f"{HOME}/"}, "other": 1}
    world.pages[f"matrix.{NAME}{VERSIONS}"] = SPOKEN
    assert find() == HOME
    assert world.asked == [WELL_KNOWN, f"matrix.{NAME}{VERSIONS}"]


def test_a_redirect_is_followed_but_not_for_ever(find: Any, world: World) -> None:
    moved = f"www.{NAME}/matrix.json"
    world.pages[WELL_KNOWN] = (301, {"Location": f"https://{moved}"})
    world.pages[moved] = {"m.homeserver": {"base_url": HOME}}
    world.pages[f"matrix.{NAME}{VERSIONS}"] = SPOKEN
    assert find() == HOME
    world.pages[moved] = (302, {"Location": f"https://{WELL_KNOWN}"})
    world.asked.clear()
    assert find() == "E_DISCOVERY_PROMPT" and len(world.asked) == 6
    world.pages[WELL_KNOWN] = (301, {"Location": f"http://{moved}"})
    assert find() == "E_DISCOVERY_PROMPT"


def test_a_server_name_that_says_nothing_may_be_the_homeserver(find: Any, world: World) -> None:
    assert find() == "E_DISCOVERY_PROMPT"
    world.pages[f"{NAME}{VERSIONS}"] = SPOKEN
    assert find() == f"https://{NAME}"
    world.pages[f"{NAME}:8448{VERSIONS}"] = SPOKEN
    assert find(f"{NAME}:8448") == f"https://{NAME}:8448"


@pytest.mark.parametrize(
    "page",
    [
        (500, {}), (204, {}), b"", b"<html>", b"[" * 5000, b"\xff", [], {}, {"m.homeserver": []},
        {"m.homeserver": {}}, {"m.homeserver": {"base_url": 1}}, b" " * 70_000 + b"{}",
    ],
)  # fmt: skip
def test_an_answer_of_no_use_asks_the_user(find: Any, world: World, page: Any) -> None:
    world.pages[WELL_KNOWN] = page
    world.pages[f"{NAME}{VERSIONS}"] = SPOKEN
    assert find() == "E_DISCOVERY_PROMPT"
    assert world.asked == [WELL_KNOWN]


@pytest.mark.parametrize(
    "base_url",
    ["matrix.example.test", "ftp://x", "https://", "https://a b", "http://matrix.example.test",
     "https://user@matrix.example.test", "https://x/?q", "javascript:alert(1)"],
)  # fmt: skip
def test_a_base_url_that_is_none_is_an_error(find: Any, world: World, base_url: str) -> None:
    world.pages[WELL_KNOWN] = {"m.homeserver": {"base_url": base_url}}
    assert find() == "E_DISCOVERY"


@pytest.mark.parametrize("page", [(404, {}), b"<html>", {}, {"versions": "v1.1"}, {"versions": []}])
def test_a_base_url_without_a_homeserver_is_an_error(find: Any, world: World, page: Any) -> None:
    world.pages[WELL_KNOWN] = {"m.homeserver": {"base_url": HOME}}
    world.pages[f"matrix.{NAME}{VERSIONS}"] = page
    assert find() == "E_DISCOVERY"


def test_a_certificate_of_somebody_else_ends_it(find: Any, world: World) -> None:
    assert find("elsewhere.test") == "E_TLS"
    world.pages[WELL_KNOWN] = {"m.homeserver": {"base_url": "https://elsewhere.test"}}
    assert find() == "E_DISCOVERY"


def test_an_address_that_is_no_url_is_explained(host: RuntimeHost) -> None:
    client = host.client("127.0.0.1:8008")
    frame = host.wait(host.submit(client, "sso_url", redirect_url=BACK))
    assert frame.payload["code"] == "E_CONNECTION"
    assert frame.payload["message"].endswith("a URL begins with https:// or http://)")


def test_a_failure_is_not_remembered_and_a_success_is(
    host: RuntimeHost, world: World, authority: Authority
) -> None:
    client = host.client(NAME, proxy=world.proxy, ca_file=str(authority.file))
    assert host.refuse(client, "sso_url", redirect_url=BACK)["code"] == "E_DISCOVERY_PROMPT"
    assert "homeserver" not in host.call(client, "account")
    world.pages[f"{NAME}{VERSIONS}"] = SPOKEN
    for request in [host.submit(client, "sso_url", redirect_url=BACK) for _ in range(5)]:
        assert host.wait(request).is_ok
    assert len(world.asked) == 4
    assert host.call(client, "account")["homeserver"] == f"https://{NAME}"


def test_a_password_goes_to_homeservers_only(host: RuntimeHost) -> None:
    with ScriptedServer(lambda _: Answer({}), versions=Answer(b"<html>")) as server:
        client = host.client(server.url)
        error = host.refuse(client, "login_password", user="u", password="hunter2")
        assert error["code"] == "E_INVALID_RESPONSE" and not server.requests


def test_server_names() -> None:
    for name in ("example.org", "localhost", "a-b.c:8448", "1.2.3.4", "[::1]:80", "[2001:db8::1]"):
        assert check_server_name(name) == name
    for name in ("", "no name", "a/b", "-a", "a..:1:2", "u@h", "é", "a" * 256, "[x]", "a:", "a:1a"):
        with pytest.raises(ArgumentError, match="homeserver"):
            check_server_name(name)
    assert is_safe("https://x") and is_safe("http://127.0.0.1:8008") and is_safe("http://[::1]/")
    assert not is_safe("http://127.0.0.1.evil.test") and not is_safe("http://localhost.evil.test")
