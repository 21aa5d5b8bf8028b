"""Syncing against a scripted homeserver: order, commits, repeats, poison, failures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.runtime_host import SECONDS, RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer
from tests.support.sync_script import (
    ME,
    SESSION,
    Homeserver,
    answer,
    joined,
    message,
    rooms,
    state,
)


def test_events_come_before_the_result_and_once(host: RuntimeHost) -> None:
    script = Homeserver(
        answer("s1", join={"!r:x": joined(message("old"))}),
        answer("s2", join={"!r:x": joined(message("mine", ME, 2), message({}, number=3))}),
    )
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        subscription = host.subscribe(client)
        assert host.call(client, "sync_once")["event_count"] == 1
        assert [frame.target for frame in host.events] == [subscription]
        first = host.events.pop().payload
        assert first["is_historic"] and not first["is_own"] and first["body"] == "old"
        assert first["raw"] == message("old") and first["content"] == first["raw"]["content"]
        host.call(client, "sync_once")
        mine, odd = (frame.payload for frame in host.events)
        assert mine["is_own"] and not mine["is_historic"]
        # A body that is no text is no body; the content is there all the same.
        assert "body" not in odd and odd["content"]["body"] == {}
        assert [query.get("since") for query in script.asked] == [None, "s1"]


def test_filters(host: RuntimeHost) -> None:
    script = Homeserver(
        answer(
            "s1",
            join={
                "!a:x": joined(message("1"), message("2", ME), message("3", "@b:x")),
                "!b:x": joined(message("4")),
            },
        )
    )
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        wishes = {
            host.subscribe(client): ["1", "2", "3", "4"],
            host.subscribe(client, room_id="!b:x"): ["4"],
            host.subscribe(client, sender="@a:x"): ["1", "4"],
            host.subscribe(client, not_own=True): ["1", "3", "4"],
            host.subscribe(client, msgtype="m.image"): [],
        }
        gone = host.subscribe(client)
        host.send("unsubscribe", client, gone)
        host.call(client, "sync_once")
        for wish, bodies in wishes.items():
            found = [frame.payload["body"] for frame in host.events if frame.target == wish]
            assert found == bodies
        assert not [frame for frame in host.events if frame.target == gone]


def test_what_was_not_consumed_comes_again(host: RuntimeHost, tmp_path: Path) -> None:
    script = Homeserver(*[answer("s1", join={"!r:x": joined(message("hi"))})] * 2)
    with ScriptedServer(script) as server:
        options = {**SESSION, "store_path": str(tmp_path)}
        client = host.client(server.url, **options)
        host.subscribe(client)
        host.consumes = False
        host.call(client, "sync_once")
        # The next sync waits for the one before.
        waiting = host.submit(client, "sync_once")
        host.settle(0.2)
        assert waiting not in host.results and len(script.asked) == 1
        host.send("close_client", client)
        assert host.wait(waiting).payload["code"] == "E_CANCELLED"

        host.consumes = True
        client = host.client(server.url, **options)
        host.subscribe(client)
        assert rooms(host, client) == {}
        host.call(client, "sync_once")
        host.call(client, "sync_once")
        assert [query.get("since") for query in script.asked] == [None, None, "s1"]
        assert [frame.payload["body"] for frame in host.events] == ["hi", "hi"]


def test_without_subscriptions_it_commits_at_once(host: RuntimeHost, tmp_path: Path) -> None:
    script = Homeserver(
        answer("s1", join={"!r:x": joined(states=[state("m.room.name", name="T")])})
    )
    with ScriptedServer(script) as server:
        options = {**SESSION, "store_path": str(tmp_path)}
        client = host.client(server.url, **options)
        host.consumes = False
        host.call(client, "sync_once")
        host.send("close_client", client)
        client = host.client(server.url, store_path=str(tmp_path))
        assert rooms(host, client)["!r:x"]["name"] == "T"
        host.call(client, "sync_once")
        assert script.asked[-1]["since"] == "s1"


def test_a_full_queue_pauses_the_sync(host: RuntimeHost) -> None:
    events = [message("x" * 2000, number=number) for number in range(2000)]
    script = Homeserver(answer("s1", join={"!r:x": joined(*events)}))
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        host.subscribe(client)
        host.bridge.event_limit = 300
        request = host.submit(client, "sync_once")
        assert host.bridge.is_ready.wait(SECONDS)
        most = 0
        while request not in host.results:
            most = max(most, len(host.bridge.queue))
            assert host.step(SECONDS)
        assert [frame.payload["event_id"] for frame in host.events] == [
            event["event_id"] for event in events
        ]
        assert most < 1000


@pytest.mark.parametrize(
    "poison",
    [
        b'{"n":123456789012345678901234567890}',
        b'{"n":1e999}',
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"body":"\xff\xfe"}',
        b'{"body":"\\ud800!"}',
        b'"no object"',
    ],
)
def test_one_malformed_event_never_harms_the_rest(host: RuntimeHost, poison: bytes) -> None:
    sync = answer(
        "s1", join={"!r:x": joined(message("before"), message("POISON"), message("after")),
                    "!s:x": joined(message("elsewhere"))},
    )  # fmt: skip
    marked = json.dumps(message("POISON")["content"]).encode()
    body = json.dumps(sync).encode().replace(marked, poison)
    assert poison in body
    script = Homeserver(Answer(body), answer("s2"))
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        host.subscribe(client)
        result = host.call(client, "sync_once")
        assert (result["malformed_count"], result["event_count"]) == (1, 3)
        bodies = [frame.payload["body"] for frame in host.events]
        assert bodies == ["before", "after", "elsewhere"]
        (record,) = [record for record in host.logs if record.get("code") == "E_MALFORMED_EVENT"]
        assert record["message"].startswith("!r:x: event 1 of its timeline")
        host.call(client, "sync_once")
        assert script.asked[-1]["since"] == "s1"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (Answer(b"<html>bad gateway</html>", 502), "E_INVALID_RESPONSE"),
        (Answer(b'{"next_batch":"s1","rooms":{'), "E_INVALID_RESPONSE"),
        (Answer(b"[]"), "E_INVALID_RESPONSE"),
        (Answer({"errcode": "M_LIMIT_EXCEEDED", "error": "slow"}, 429, {"Retry-After": "7"}),
         "M_LIMIT_EXCEEDED"),
        (Answer({"errcode": 5, "error": []}, 500), "E_INVALID_RESPONSE"),
        (Answer({"errcode": "E_INTERNAL", "error": "spoof"}, 500), "E_INVALID_RESPONSE"),
    ],
)  # fmt: skip
def test_a_sync_that_failed_can_be_asked_again(host: RuntimeHost, body: Any, code: str) -> None:
    script = Homeserver(answer("s0"), body, answer("s2"))
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        host.call(client, "sync_once")
        error = host.refuse(client, "sync_once")
        assert error["code"] == code
        if code == "M_LIMIT_EXCEEDED":
            assert error["retry_after_ms"] == 7000 and error["http_status"] == 429
        assert host.call(client, "sync_once")["next_batch"] == "s2"
        assert [query.get("since") for query in script.asked] == [None, "s0", "s0"]


def test_a_refused_token_is_forgotten_and_the_rest_kept(host: RuntimeHost, tmp_path: Path) -> None:
    refusal = Answer({"errcode": "M_UNKNOWN_TOKEN", "error": "gone"}, 401)
    script = Homeserver(answer("s1", join={"!r:x": joined()}), refusal)
    with ScriptedServer(script) as server:
        client = host.client(server.url, store_path=str(tmp_path), **SESSION)
        host.call(client, "sync_once")
        assert host.refuse(client, "sync_once")["code"] == "M_UNKNOWN_TOKEN"
        assert host.refuse(client, "sync_once")["code"] == "E_NOT_LOGGED_IN"
        assert list(rooms(host, client)) == ["!r:x"]


def test_a_client_stays_its_users(host: RuntimeHost, tmp_path: Path) -> None:
    def script(request: Request) -> Answer:
        if request.path.endswith("/login"):
            user = request.body["identifier"]["user"]
            return Answer({"user_id": user, "device_id": "D2", "access_token": f"of {user}"})
        if request.path.endswith("/logout"):
            return Answer({})
        return Answer({"errcode": "M_UNKNOWN_TOKEN", "error": "gone"}, 401)

    with ScriptedServer(script) as server:
        client = host.client(server.url, store_path=str(tmp_path), **SESSION)
        assert host.refuse(client, "whoami")["code"] == "M_UNKNOWN_TOKEN"
        error = host.refuse(client, "login_password", user="@other:x", password="p")
        assert error["code"] == "E_ALREADY_LOGGED_IN" and ME in error["message"]
        # The login that was made all the same is undone.
        assert server.requests[-1].path.endswith("/logout")
        assert server.requests[-1].headers["authorization"] == "Bearer of @other:x"
        assert host.call(client, "login_password", user=ME, password="p")["device_id"] == "D2"
        assert server.requests[-1].body["device_id"] == "D"


def test_a_token_alone_is_enough(host: RuntimeHost) -> None:
    script = Homeserver(answer("s1", join={"!r:x": joined(message("mine", ME))}))
    with ScriptedServer(script) as server:
        client = host.client(server.url, access_token="token")
        host.subscribe(client)
        host.call(client, "sync_once")
        assert host.events[0].payload["is_own"]


def test_two_clients_on_one_store(host: RuntimeHost, tmp_path: Path) -> None:
    first = host.client(store_path=str(tmp_path))
    second = host.client(store_path=str(tmp_path))
    assert host.refuse(second, "rooms")["code"] == "E_STORE_LOCKED"
    assert host.call(first, "rooms") == {"rooms": []}
    host.send("close_client", first)
    third = host.client(store_path=str(tmp_path))
    assert host.call(third, "rooms") == {"rooms": []}


def test_a_store_belongs_to_one_user(host: RuntimeHost, tmp_path: Path) -> None:
    first = host.client(store_path=str(tmp_path), **SESSION)
    host.call(first, "rooms")
    host.send("close_client", first)
    other = host.client(store_path=str(tmp_path), **{**SESSION, "user_id": "@other:x"})
    error = host.refuse(other, "rooms")
    assert error["code"] == "E_STORE" and ME in error["message"]
