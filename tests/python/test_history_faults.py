"""History from a homeserver that answers wrongly."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer

ROOM = "!room:localhost"
SESSION = {"access_token": "t", "user_id": "@me:localhost", "device_id": "D", "encryption": False}


def event(name: str, **more: Any) -> dict[str, Any]:
    content = {"msgtype": "m.text", "body": name}
    return {
        "type": "m.room.message", "event_id": f"${name}", "sender": "@you:localhost",
        "origin_server_ts": 1, "content": content, **more,
    }  # fmt: skip


class History:
    """Answers /messages by the token in `from`; what is missing is the end."""

    def __init__(self, **pages: Any) -> None:
        self.pages = pages
        self.asked: list[str] = []

    def script(self, request: Request) -> Answer:
        token = request.query.get("from", "start")
        self.asked.append(token)
        answer = self.pages.get(token, {"chunk": []})
        return answer if isinstance(answer, Answer) else Answer(answer)


def open_cursor(host: RuntimeHost, server: ScriptedServer, **options: Any) -> tuple[int, int]:
    client = host.client(server.url, **SESSION)
    return client, host.call(client, "open_cursor", room_id=ROOM, **options)["cursor"]


def read(host: RuntimeHost, client: int, cursor: int) -> tuple[list[str], bool]:
    page = host.call(client, "read_cursor", cursor=cursor)
    return [event["body"] for event in page["events"]], page["is_at_end"]


@pytest.mark.parametrize("token", ["start", "t1"])
def test_a_closed_client_goes_with_its_cursors(host: RuntimeHost, token: str) -> None:
    """Whatever the last read came to."""
    page = {"chunk": [event("a")], "end": "t1"}
    history = History(**{"start": page, token: Answer({"errcode": "M_UNKNOWN"}, 500)})
    with ScriptedServer(history.script) as server:
        place = open_cursor(host, server)
        for _ in range(2):
            host.wait(host.submit(place[0], "read_cursor", cursor=place[1]))
        kept = host.inside(lambda: weakref.ref(host.runtime._clients[place[0]]))
        host.send("close_client", place[0])
        host.until(lambda: host.inside(lambda: gc.collect() >= 0 and kept() is None))


def test_a_token_that_stays_is_the_end(host: RuntimeHost) -> None:
    history = History(
        start={"chunk": [event("a")], "end": "t1"}, t1={"chunk": [event("b")], "end": "t1"}
    )
    with ScriptedServer(history.script) as server:
        place = open_cursor(host, server)
        assert read(host, *place) == (["a"], False)
        assert read(host, *place) == (["b"], True)
        assert read(host, *place) == ([], True)
    assert history.asked == ["start", "t1"]


def test_pages_without_events_are_passed(host: RuntimeHost) -> None:
    pages: dict[str, Any] = {f"t{n}": {"chunk": [], "end": f"t{n + 1}"} for n in range(150)}
    history = History(start={"chunk": [], "end": "t0"}, **pages, t150={"chunk": [event("a")]})
    with ScriptedServer(history.script) as server:
        place = open_cursor(host, server)
        assert read(host, *place) == ([], False)
        assert read(host, *place) == (["a"], True)


def test_malformed_events_are_left_out(host: RuntimeHost) -> None:
    deep: Any = 1
    for _ in range(70):
        deep = [deep]
    chunk = [
        event("a"), {"type": 3}, event("b", content=3), 5, event("c", event_id=""), "x",
        event("d", n=10**30), event("e", n=deep), event("f", content={"body": 3}), event("g"),
    ]  # fmt: skip
    history = History(start={"chunk": chunk, "end": 7})
    with ScriptedServer(history.script) as server:
        client = host.client(server.url, **SESSION)
        page = host.call(client, "history", room_id=ROOM)
    assert [each.get("body") for each in page["events"]] == ["a", None, "g"]
    assert "next_batch" not in page


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"{}", b'{"chunk": 3}', b'{"chunk": [', b"\xff"]
)
def test_a_broken_answer_does_not_move_the_cursor(host: RuntimeHost, body: bytes) -> None:
    history = History(start={"chunk": [event("a")], "end": "t1"}, t1=Answer(body))
    with ScriptedServer(history.script) as server:
        client, cursor = open_cursor(host, server)
        assert read(host, client, cursor) == (["a"], False)
        for _ in range(2):
            refused = host.refuse(client, "read_cursor", cursor=cursor)
            assert refused["code"] == "E_INVALID_RESPONSE"
        history.pages["t1"] = {"chunk": [event("b")]}
        assert read(host, client, cursor) == (["b"], True)


def test_a_refusal_does_not_move_the_cursor(host: RuntimeHost) -> None:
    refusal = Answer({"errcode": "M_FORBIDDEN", "error": "no"}, 403)
    history = History(start=refusal)
    with ScriptedServer(history.script) as server:
        client, cursor = open_cursor(host, server)
        assert host.refuse(client, "read_cursor", cursor=cursor)["code"] == "M_FORBIDDEN"
        history.pages["start"] = {"chunk": [event("a")]}
        assert read(host, client, cursor) == (["a"], True)


def test_what_is_fetched_ahead_and_fails_is_asked_for_again(host: RuntimeHost) -> None:
    history = History(
        start={"chunk": [event("a")], "end": "t1"},
        t1={"chunk": [event("b")], "end": "t2"},
        t2=Answer({"errcode": "M_UNKNOWN", "error": "no"}, 400),
    )
    with ScriptedServer(history.script) as server:
        client, cursor = open_cursor(host, server)
        assert read(host, client, cursor) == (["a"], False)
        assert read(host, client, cursor) == (["b"], False)
        assert host.refuse(client, "read_cursor", cursor=cursor)["code"] == "M_UNKNOWN"
        history.pages["t2"] = {"chunk": [event("c")]}
        assert read(host, client, cursor) == (["c"], True)


def test_pages_grow_unless_told_not_to(host: RuntimeHost) -> None:
    limits: list[str] = []

    def script(request: Request) -> Answer:
        limits.append(request.query["limit"])
        return Answer({"chunk": [event("a")], "end": f"t{len(limits)}"})

    with ScriptedServer(script) as server:
        client, cursor = open_cursor(host, server)
        for _ in range(4):
            read(host, client, cursor)
        assert limits[:4] == ["100", "200", "400", "500"]
        limits.clear()
        fixed = host.call(client, "open_cursor", room_id=ROOM, page_size=7)["cursor"]
        read(host, client, fixed)
        read(host, client, fixed)
        assert set(limits[-2:]) == {"7"}


@pytest.mark.parametrize("answer", [{"event": 3}, {}, {"event": {"type": "m.x"}}])
def test_a_context_without_its_event(host: RuntimeHost, answer: Any) -> None:
    with ScriptedServer(lambda _: Answer(answer)) as server:
        client = host.client(server.url, **SESSION)
        for call in ("event_context", "open_cursor"):
            refused = host.refuse(client, call, room_id=ROOM, event_id="$a")
            assert refused["code"] == "E_MALFORMED_EVENT"


@pytest.mark.parametrize("operation", ["relations", "threads"])
def test_pages_of_other_kinds(host: RuntimeHost, operation: str) -> None:
    bodies = [b"{", b"{}", b'{"chunk": {}}']
    with ScriptedServer(lambda _: Answer(bodies.pop())) as server:
        client = host.client(server.url, **SESSION)
        given = {"event_id": "$a"} if operation == "relations" else {}
        for _ in range(3):
            refused = host.refuse(client, operation, room_id=ROOM, **given)
            assert refused["code"] == "E_INVALID_RESPONSE"


def test_relations_that_do_not_end(host: RuntimeHost) -> None:
    count = 0

    def script(request: Request) -> Answer:
        nonlocal count
        count += 1
        if "/relations/" in request.path:
            return Answer({"chunk": [], "next_batch": f"t{count}"})
        return Answer(event("a"))

    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        refused = host.refuse(client, "edit_history", room_id=ROOM, event_id="$a")
        assert refused["code"] == "E_INVALID_RESPONSE"
    assert count == 201


def search(host: RuntimeHost, *results: Any, **more: Any) -> Any:
    body = {"search_categories": {"room_events": {"results": list(results), **more}}}
    with ScriptedServer(lambda _: Answer(body)) as server:
        return host.call(host.client(server.url, **SESSION), "search_messages", text="tea")


def test_one_malformed_result_does_not_hide_the_others(host: RuntimeHost) -> None:
    a, b, c, d = (event(name, room_id=ROOM) for name in "abcd")
    found = search(
        host,
        {"rank": "much", "result": a, "context": {"events_before": None, "events_after": [c, 7]}},
        {"rank": 0.5, "result": b, "context": 7},
        7,
        None,
        {"rank": 1},
        {"result": event("x")},
        {"result": event("x", room_id=ROOM, content=[])},
        {"rank": 1, "result": d, "context": {"events_before": [c, b], "start": "s", "end": 7}},
    )["results"]
    assert [each["event"]["body"] for each in found] == ["a", "b", "d"]
    assert [each.get("rank") for each in found] == [None, 0.5, 1.0]
    assert [each["body"] for each in found[0]["events_after"]] == ["c"]
    assert [each["body"] for each in found[2]["events_before"]] == ["b", "c"]
    assert found[2]["prev_batch"] == "s" and "next_batch" not in found[2]
    left_out = [each for each in host.logs if each.get("code") == "E_MALFORMED_EVENT"]
    assert len(left_out) == 6


@pytest.mark.parametrize("number", [2**63, 10**30, -(2**64)])
def test_integers_that_hosts_cannot_hold(host: RuntimeHost, number: int) -> None:
    found = search(host, count=number)
    assert found == {"results": [], "highlights": []}
    assert search(host, count=2.0)["count"] == 2
    with ScriptedServer(lambda _: Answer({"event_id": "$a", "origin_server_ts": number})) as server:
        client = host.client(server.url, **SESSION)
        refused = host.refuse(client, "timestamp_to_event", room_id=ROOM, timestamp=1)
        assert refused["code"] == "E_INVALID_RESPONSE"
