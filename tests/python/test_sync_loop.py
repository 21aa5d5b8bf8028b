"""The sync loop in process: its states, its pauses, its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from libmatrix.errors import StoreError
from libmatrix.store.state import Changes
from tests.support.runtime_host import SECONDS, RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer

ME = "@me:x"
SESSION = {"user_id": ME, "device_id": "D", "access_token": "token"}
FAST = {"timeout_ms": 50, "backoff_min_ms": 5, "backoff_max_ms": 20}
DEAD = Answer({"errcode": "M_UNKNOWN_TOKEN", "error": "gone", "soft_logout": True}, 401)


def message(number: int) -> dict[str, Any]:
    return {
        "type": "m.room.message",
        "sender": "@a:x",
        "event_id": f"$m{number}",
        "origin_server_ts": 5,
        "content": {"msgtype": "m.text", "body": "hi"},
    }


def news(token: str, *events: Any, **timeline: Any) -> dict[str, Any]:
    room = {"timeline": {"events": list(events), **timeline}}
    return {"next_batch": token, "rooms": {"join": {"!a:x": room}}}


class Server:
    """Gives its answers to /sync one after the other, then nothing new."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: Request) -> Answer:
        if request.path.endswith("/sync"):
            self.asked.append(request.query)
            body = self.answers.pop(0) if self.answers else {"next_batch": "end"}
            return body if isinstance(body, Answer) else Answer(body)
        return Answer({"user_id": ME, "device_id": "D", "filter_id": "7"})


class Looping:
    """A client with its loop, and what its subscriptions got."""

    def __init__(self, host: RuntimeHost, url: str, **options: Any) -> None:
        self.host = host
        self.client = host.client(url, **{**SESSION, **options})
        self.kinds = {
            host.subscribe(self.client, kind): kind for kind in ("sync", "sync_state", "message")
        }

    def start(self, **arguments: Any) -> None:
        self.host.call(self.client, "sync_loop_start", **{**FAST, **arguments})

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [frame.payload for frame in self.host.events if self.kinds.get(frame.target) == kind]

    def states(self) -> list[str]:
        return [record["state"] for record in self.of("sync_state")]

    def until(self, holds: Callable[[], bool]) -> None:
        self.host.until(holds)


def test_events_then_sync_record(host: RuntimeHost) -> None:
    server = Server(news("1", message(1)), news("2", message(2), limited=True, prev_batch="p"))
    with ScriptedServer(server) as scripted:
        it = Looping(host, scripted.url)
        it.start(set_presence="offline", full_state=True)
        it.until(lambda: len(it.of("sync")) >= 3)
        assert host.call(it.client, "sync_loop_stop") == {"was_running": True}
        assert host.call(it.client, "sync_loop_stop") == {"was_running": False}
    first, second = it.of("sync")[:2]
    assert first == {
        "next_batch": "1",
        "event_count": 1,
        "malformed_count": 0,
        "joined_room_ids": ["!a:x"],
        "invited_room_ids": [],
        "left_room_ids": [],
        "limited_rooms": [],
        "is_initial": True,
    }
    assert not second["is_initial"]
    assert second["limited_rooms"] == [{"room_id": "!a:x", "prev_batch": "p"}]
    kinds = [it.kinds[frame.target] for frame in host.events]
    assert kinds[:4] == ["message", "sync", "sync_state", "message"]
    assert it.states() == ["syncing", "stopped"]
    assert [query.get("since") for query in server.asked[:3]] == [None, "1", "2"]
    # The first comes back at once; only it asks for all state.
    assert [query["timeout"] for query in server.asked[:3]] == ["0", "50", "50"]
    assert [query.get("full_state") for query in server.asked[:2]] == ["true", None]
    assert server.asked[0]["use_state_after"] == "true"


def test_only_one_loop(host: RuntimeHost) -> None:
    with ScriptedServer(Server()) as scripted:
        it = Looping(host, scripted.url)
        it.start()
        for operation in ("sync_loop_start", "sync_once"):
            assert host.refuse(it.client, operation)["code"] == "E_ALREADY_RUNNING"
        host.call(it.client, "sync_loop_stop")
        it.start()
        host.call(it.client, "sync_loop_stop")
    assert host.refuse(host.client(), "sync_loop_start")["code"] == "E_NOT_LOGGED_IN"


@pytest.mark.parametrize(
    "bad",
    [
        Answer(b"<html>502 Bad Gateway</html>", 502, {"Content-Type": "text/html"}),
        Answer(b"<html>log in to the hotel's network</html>", 200),
        Answer(b'{"next_batch": "1", "rooms": {"jo', 200),
        Answer(b"", 200),
        Answer([], 200),
        Answer({}, 200),
        Answer({"errcode": "M_UNKNOWN", "error": "no"}, 500),
        Answer({"errcode": "M_LIMIT_EXCEEDED", "error": "slower", "retry_after_ms": 1}, 429),
        Answer({"errcode": "M_MISSING_TOKEN", "error": "odd"}, 401),
        Answer({}, 302, {"Location": "http://127.0.0.1:1/"}),
    ],
)
def test_goes_on_after(host: RuntimeHost, bad: Answer) -> None:
    server = Server(bad, bad, news("1", message(1)))
    with ScriptedServer(server) as scripted:
        it = Looping(host, scripted.url)
        it.start()
        it.until(lambda: len(it.of("sync")) >= 1)
        host.call(it.client, "sync_loop_stop")
    pauses = it.of("sync_state")[:2]
    assert [record["attempt"] for record in pauses] == [1, 2]
    assert all(5 <= record["delay_ms"] <= 20 and record["code"] for record in pauses)
    assert it.states() == ["reconnecting", "reconnecting", "syncing", "stopped"]
    assert [query.get("since") for query in server.asked[:3]] == [None, None, None]
    assert len(it.of("message")) == 1


def test_retry_after_is_heeded(host: RuntimeHost) -> None:
    busy = Answer({"errcode": "M_LIMIT_EXCEEDED", "error": "slower"}, 429, {"Retry-After": "3"})
    with ScriptedServer(Server(busy)) as scripted:
        it = Looping(host, scripted.url)
        it.start()
        it.until(lambda: bool(it.of("sync_state")))
        assert 3000 <= it.of("sync_state")[0]["delay_ms"] <= 3005
        # The stop does not wait for the pause.
        host.call(it.client, "sync_loop_stop")
        assert len(scripted.requests) == 1


def test_ends_with_its_token(host: RuntimeHost) -> None:
    with ScriptedServer(Server(news("1"), DEAD)) as scripted:
        it = Looping(host, scripted.url)
        it.start()
        it.until(lambda: it.states()[-1:] == ["stopped"])
        refused = it.of("sync_state")[1]
        assert it.states() == ["syncing", "unauthorized", "stopped"]
        assert (refused["code"], refused["soft_logout"]) == ("M_UNKNOWN_TOKEN", True)
        asked = len(scripted.requests)
        host.settle(0.2)
        assert len(scripted.requests) == asked
        assert host.refuse(it.client, "sync_loop_start")["code"] == "E_NOT_LOGGED_IN"


@pytest.mark.parametrize("soft", [True, False])
def test_ends_with_a_renewal_that_is_refused(host: RuntimeHost, soft: bool) -> None:
    """The token is renewed before a homeserver refuses it."""

    def script(request: Request) -> Answer:
        if request.path.endswith("/login"):
            given = {"access_token": "a", "refresh_token": "r", "expires_in_ms": 60_000}
            return Answer({"user_id": ME, "device_id": "D", **given})
        if request.path.endswith("/refresh"):
            gone = {"errcode": "M_UNKNOWN_TOKEN", "error": "gone", "soft_logout": soft}
            return Answer(gone, 401)
        return Answer({"next_batch": "1"})

    with ScriptedServer(script) as scripted:
        nobody = {"user_id": None, "device_id": None, "access_token": None}
        it = Looping(host, scripted.url, **nobody)
        host.call(it.client, "login_password", user="me", password="p")
        host.pass_time(100)
        it.start()
        it.until(lambda: it.states()[-1:] == ["stopped"])
        refused = it.of("sync_state")[-2]
        assert (refused["state"], refused["soft_logout"]) == ("unauthorized", soft)
        assert host.call(it.client, "account").get("device_id") == ("D" if soft else None)


def test_ends_with_logout_and_with_the_client(host: RuntimeHost) -> None:
    with ScriptedServer(Server()) as scripted:
        it = Looping(host, scripted.url)
        it.start()
        it.until(lambda: bool(it.of("sync")))
        host.call(it.client, "logout")
        it.until(lambda: it.states()[-1:] == ["stopped"])
        other = Looping(host, scripted.url)
        other.start()
        other.until(lambda: bool(other.of("sync")))
        host.send("close_client", other.client)
        host.settle(0.2)
        asked = len(scripted.requests)
        host.settle(0.2)
        assert len(scripted.requests) == asked


@pytest.mark.parametrize("token", ["same", None])
def test_a_server_that_never_waits(host: RuntimeHost, token: str | None) -> None:
    """It says at once that there is nothing, again and again."""
    count = iter(range(100_000))

    def script(_: Request) -> Answer:
        return Answer({"next_batch": token or str(next(count))})

    with ScriptedServer(script) as scripted:
        it = Looping(host, scripted.url)
        began = time.monotonic()
        it.start(timeout_ms=30_000)
        # Some at once, and then a pause before each: of a quarter of a second or more, or of less
        # where the token moves.
        it.until(lambda: len([each for each in scripted.requests if "/sync" in each.path]) >= 8)
        assert time.monotonic() - began >= (0.7 if token else 0.3)
        host.call(it.client, "sync_loop_stop")


def test_a_host_that_does_not_consume(host: RuntimeHost) -> None:
    server = Server(news("1", message(1)), news("2", message(2)))
    host.consumes = False
    with ScriptedServer(server) as scripted:
        it = Looping(host, scripted.url)
        it.start()
        host.settle(0.3)
        assert len(server.asked) == 1
        host.call(it.client, "sync_loop_stop")
    assert it.states() == ["syncing", "stopped"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (StoreError("the disk is full"), "E_STORE"),
        (MemoryError(), "E_NO_MEMORY"),
        (RuntimeError(), "E_INTERNAL"),
    ],
)
def test_goes_on_after_a_commit_that_failed(host: RuntimeHost, fault: Exception, code: str) -> None:
    """What was not committed comes again."""
    server = Server(news("1", message(1)), news("2", message(2)), news("2", message(2)))
    with ScriptedServer(server) as scripted:
        it = Looping(host, scripted.url)
        host.call(it.client, "rooms")
        state = host.inside(lambda: host.runtime._clients[it.client].state)
        commit = state.commit

        def fail_once(changes: Changes) -> None:
            if changes.next_batch == "2":
                state.commit = commit  # type: ignore[method-assign]
                raise fault
            commit(changes)

        state.commit = fail_once  # type: ignore[method-assign]
        it.start()
        it.until(lambda: it.of("sync")[-1:] != [] and it.of("sync")[-1]["next_batch"] == "end")
        host.call(it.client, "sync_loop_stop")
    assert [query.get("since") for query in server.asked[:4]] == [None, "1", "1", "2"]
    assert [record["event_id"] for record in it.of("message")] == ["$m1", "$m2", "$m2"]
    assert it.of("sync_state")[1]["code"] == code
    assert [log["code"] for log in host.logs if log["level"] == "error"] == [code]


def test_stop_while_the_queue_is_full(host: RuntimeHost) -> None:
    """What was given only in part comes again; the rooms are those of the store meanwhile."""
    many = [message(number) for number in range(3000)]
    server = Server(news("1", *many), news("1", *many))
    with ScriptedServer(server) as scripted:
        it = Looping(host, scripted.url)
        host.bridge.event_limit = 10
        request = host.submit(it.client, "sync_loop_start", **FAST)
        # Not by `until`, which would make room.
        deadline = time.monotonic() + SECONDS
        while not host.bridge.is_full(1):
            assert time.monotonic() < deadline
        stop = host.submit(it.client, "sync_loop_stop")
        rooms = host.submit(it.client, "rooms")
        for each in (request, stop):
            assert host.wait(each).is_ok
        assert host.wait(rooms).is_ok
        host.bridge.event_limit = 1 << 30
        assert host.call(it.client, "rooms")["rooms"] == []
        host.events.clear()
        it.start()
        it.until(lambda: bool(it.of("sync")))
        assert len(it.of("message")) == 3000
        host.call(it.client, "sync_loop_stop")


def test_who_learns_the_device_during_a_sync_goes_on(host: RuntimeHost) -> None:
    server = Server(news("1", *[message(number) for number in range(3000)]))
    with ScriptedServer(server) as scripted:
        it = Looping(host, scripted.url, device_id=None)
        host.bridge.event_limit = 10
        host.submit(it.client, "sync_loop_start", **FAST)
        # Not by `until`, which would make room.
        deadline = time.monotonic() + SECONDS
        while not host.bridge.is_full(1):
            assert time.monotonic() < deadline
        assert host.call(it.client, "whoami")["device_id"] == "D"
        it.until(lambda: bool(it.of("sync")))
        assert len(it.of("message")) == 3000
        host.call(it.client, "sync_loop_stop")
    assert it.states() == ["syncing", "stopped"]


def test_first_syncs_are_staggered(host: RuntimeHost) -> None:
    """Only some at a time; the others wait for their turn."""
    lock = threading.Lock()
    # As many as there may be come together; without that the first ones would wait in vain.
    together = threading.Barrier(4)
    busy = most = 0

    def script(request: Request) -> Answer:
        nonlocal busy, most
        if "since" in request.query or not request.path.endswith("/sync"):
            return Answer({"next_batch": "1"})
        with lock:
            busy += 1
            most = max(most, busy)
        together.wait(SECONDS)
        with lock:
            busy -= 1
        return Answer({"next_batch": "1"})

    with ScriptedServer(script) as scripted:
        loops = [Looping(host, scripted.url) for _ in range(12)]
        for it in loops:
            host.submit(it.client, "sync_loop_start", **FAST)
        for it in loops:
            it.until(lambda it=it: bool(it.of("sync")))  # type: ignore[misc]
        for it in loops:
            host.call(it.client, "sync_loop_stop")
    assert most == 4
