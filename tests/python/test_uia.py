"""Logging in: identifiers, and user-interactive authentication."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.runtime_host import CONTEXT, RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer

ME = "@me:x"


# -- user-interactive authentication --------------------------------------------------------------


def answer(host: RuntimeHost, request: int, auth: dict[str, Any]) -> dict[str, Any]:
    call = host.until(lambda: host.calls).popleft()
    assert call.payload["name"] == "user_interactive_auth" and call.extra == request
    host.bridge.send("respond", CONTEXT, 0, call.target, "", auth)
    payload: dict[str, Any] = call.payload["payload"]
    return payload


def test_the_host_does_the_stages_that_need_somebody(host: RuntimeHost) -> None:
    def script(request: Request) -> Answer:
        auth = request.body.get("auth")
        if auth is not None and auth["type"] == "m.login.terms":
            done.append("m.login.terms")
        elif auth is not None and auth["type"] == "m.login.dummy" and done:
            return Answer({"user_id": ME, "device_id": "D", "access_token": "t"})
        flows = [{"stages": ["m.login.terms", "m.login.dummy"]}, {"stages": ["m.login.sso"]}]
        return Answer({"session": "s", "flows": flows, "params": {"a": 1}, "completed": done}, 401)

    done: list[str] = []
    with ScriptedServer(script) as server:
        client = host.client(server.url, device_display_name="Test")
        request = host.submit(client, "register_account", user="me", password="p")
        asked = answer(host, request, {"auth": {"type": "m.login.terms"}})
        assert asked["params"] == {"a": 1} and len(asked["flows"]) == 2
        frame = host.wait(request)
        assert frame.is_ok and frame.payload["user_id"] == ME
        bodies = [r.body for r in server.requests]
        assert [b.get("auth", {}).get("session") for b in bodies] == [None, "s", "s"]
        assert bodies[0]["initial_device_display_name"] == "Test"


def test_a_homeserver_that_is_never_content(host: RuntimeHost) -> None:
    def script(request: Request) -> Answer:
        return Answer({"session": "s", "flows": [{"stages": [stage]}]}, 401)

    with ScriptedServer(script) as server:
        stage = "m.login.dummy"
        client = host.client(server.url)
        assert host.refuse(client, "register_account")["code"] == "M_UNAUTHORIZED"
        assert len(server.requests) == 2
        stage = "other"
        request = host.submit(client, "register_account")
        answer(host, request, {"auth": 5})
        assert host.wait(request).payload["code"] == "E_INVALID_ARGUMENT"
        request = host.submit(client, "register_account")
        for _ in range(20):
            answer(host, request, {"auth": {"type": "other"}})
        assert host.wait(request).payload["code"] == "E_INVALID_RESPONSE"


# -- logging in and out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "identifier"),
    [
        ({"user": "me"}, {"type": "m.id.user", "user": "me"}),
        (
            {"user": "a@b.c", "identifier": "email"},
            {"type": "m.id.thirdparty", "medium": "email", "address": "a@b.c"},
        ),
        (
            {"user": "+49 30 123", "identifier": "phone"},
            {"type": "m.id.thirdparty", "medium": "msisdn", "address": "4930123"},
        ),
        (
            {"user": "030 123", "identifier": "phone", "country": "de"},
            {"type": "m.id.phone", "country": "DE", "phone": "030 123"},
        ),
    ],
)
def test_identifiers(host: RuntimeHost, given: dict[str, str], identifier: dict[str, str]) -> None:
    given_tokens = {"user_id": ME, "device_id": "D", "access_token": "t"}
    with ScriptedServer(lambda _: Answer(given_tokens)) as server:
        host.call(host.client(server.url), "login_password", password="p", **given)
        assert server.requests[0].body["identifier"] == identifier


def test_a_phone_number_needs_a_country(host: RuntimeHost) -> None:
    client = host.client()
    error = host.refuse(client, "login_password", user="030", password="p", identifier="phone")
    assert error["code"] == "E_INVALID_ARGUMENT" and "country" in error["message"]
