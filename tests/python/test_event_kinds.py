"""Each kind of event against a scripted homeserver: filters, gaps, and what is malformed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libmatrix.sync import gaps
from libmatrix.table_gen import EVENTS
from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer
from tests.support.sync_script import ME, SESSION, answer, joined, member, message, state

DEEP: Any = 1
for _ in range(80):
    DEEP = {"a": DEEP}
ODD = [
    {"type": "m.x", "content": {"n": 10**30}},
    {"type": "m.x", "content": DEEP},
    {"type": "m.x", "content": []},
    {"type": 7, "content": {}},
    "text",
    None,
]


class Server:
    """Answers to /sync one after the other; to anything else what `other` says."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.other: list[Answer] = []
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Answer:
        self.asked.append(request)
        if request.path.endswith("/sync"):
            body = self.answers.pop(0) if self.answers else {"next_batch": "end"}
            return body if isinstance(body, Answer) else Answer(body)
        return self.other.pop(0) if self.other else Answer({}, 404)


def heard(host: RuntimeHost, subscription: int) -> list[Any]:
    return [frame.payload for frame in host.events if frame.target == subscription]


def odd_sync() -> dict[str, Any]:
    """One sound event of each kind among odd ones, in every place of a sync."""
    receipt = {"type": "m.receipt", "content": {"$e": {"m.read": {"@a:x": {"ts": 5}}}}}
    bad_receipt = {"type": "m.receipt", "content": {"$e": {"m.read": ["@a:x"]}}}
    typing = {"type": "m.typing", "content": {"user_ids": ["@a:x"]}}
    bad_typing = {"type": "m.typing", "content": {"user_ids": {"@a:x": 1}}}
    presence = {"type": "m.presence", "sender": "@a:x", "content": {"presence": "online"}}
    bad_presence = {"type": "m.presence", "sender": "@a:x", "content": {"presence": 7}}
    data = {"type": "m.x.data", "content": {"n": 1}}
    note = {"type": "m.x.note", "sender": "@a:x", "content": {}}
    relation = message("hi") | {"content": {"body": 7, "msgtype": "m.text", "m.relates_to": "x"}}
    reaction = message("") | {"type": "m.reaction", "content": {"m.relates_to": {"key": []}}}
    redaction = message("") | {"type": "m.room.redaction", "content": {"redacts": {}}}
    nameless = state("m.room.member", ME, membership=["join"])
    timeline = [*ODD, relation, reaction, redaction, nameless, message("sound")]
    room = joined(*timeline, states=[*ODD, state("m.room.topic", topic="t")])
    room["ephemeral"] = {"events": [*ODD, bad_receipt, bad_typing, receipt, typing]}
    bad_tags = {"type": "m.tag", "content": {"tags": [1]}}
    room["account_data"] = {"events": [*ODD, bad_tags, data]}
    sync = answer("s1", join={"!r:x": room}, invite={"!i:x": {"invite_state": {"events": [*ODD]}}})
    sync["presence"] = {"events": [*ODD, bad_presence, presence]}
    sync["to_device"] = {"events": [*ODD, note]}
    sync["account_data"] = {"events": [*ODD, data]}
    return sync


def test_one_malformed_event_of_each_kind_harms_nothing(host: RuntimeHost) -> None:
    with ScriptedServer(Server(odd_sync())) as server:
        client = host.client(server.url, **SESSION)
        wishes = {
            kind: host.subscribe(client, kind)
            for kind in EVENTS
            if kind not in ("sync", "sync_state")
        }
        result = host.call(client, "sync_once")
    assert result["next_batch"] == "s1"
    counts = {kind: len(found) for kind, wish in wishes.items() if (found := heard(host, wish))}
    assert counts == {
        "message": 2, "any": 5, "state": 2, "membership": 1, "redaction": 1, "reaction": 1,
        "invite": 1, "room": 2, "receipt": 1, "typing": 1, "presence": 1, "account_data": 1,
        "room_account_data": 2, "to_device": 1,
    }  # fmt: skip
    # Each odd one in each of the eight places, and three that are odd in their own way.
    assert result["malformed_count"] == 8 * len(ODD) + 3
    assert all(record["code"] == "E_MALFORMED_EVENT" for record in host.logs if "code" in record)
    (told,) = heard(host, wishes["to_device"])
    assert told["is_encrypted"] is False and "sender_device_id" not in told
    (odd, _) = heard(host, wishes["message"])
    assert "body" not in odd and odd["msgtype"] == "m.text" and "rel_type" not in odd
    assert "reaction_key" not in heard(host, wishes["reaction"])[0]
    assert "redacts" not in heard(host, wishes["redaction"])[0]
    assert "membership" not in heard(host, wishes["membership"])[0]


def test_filters_of_each_kind(host: RuntimeHost) -> None:
    room = joined(
        message("1"), message("2", ME, 2), member("@b:x"), state("m.room.topic", topic="t")
    )
    with ScriptedServer(Server(answer("s1", join={"!a:x": room, "!b:x": room}))) as server:
        client = host.client(server.url, **SESSION)
        expected = {
            host.subscribe(client, "any"): 8,
            host.subscribe(client, "any", room_id="!a:x"): 4,
            host.subscribe(client, "any", room_id="!a:x", not_own=True): 3,
            host.subscribe(client, "any", type="m.room.topic"): 2,
            host.subscribe(client, "state"): 4,
            host.subscribe(client, "state", state_key="@b:x"): 2,
            host.subscribe(client, "membership", state_key="@b:x", room_id="!b:x"): 1,
            host.subscribe(client, "membership", sender="@nobody:x"): 0,
            host.subscribe(client, "room", room_id="!a:x"): 1,
            host.subscribe(client, "receipt"): 0,
        }
        host.call(client, "sync_once")
    assert {wish: len(heard(host, wish)) for wish in expected} == expected


def limited(*timeline: Any) -> dict[str, Any]:
    return {"timeline": {"events": list(timeline), "limited": True, "prev_batch": "p1"}}


def test_a_gap_ends_at_what_was_known(host: RuntimeHost) -> None:
    script = Server(
        answer("s1", join={"!r:x": joined(message("0", number=0))}),
        answer("s2", join={"!r:x": limited(message("5", number=5))}),
    )
    chunk = [message("4", number=4), {"odd": 1}, state("m.room.topic", topic="old")]
    script.other = [
        Answer({"chunk": chunk, "end": "p2"}),
        Answer({"chunk": [message("1", number=1), message("0", number=0)], "end": "p3"}),
    ]
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        every = host.subscribe(client, "any", fill_gaps=True)
        some = host.subscribe(client, "message")
        host.call(client, "sync_once")
        host.events.clear()
        assert host.call(client, "sync_once")["malformed_count"] == 1
        found = [event.get("body", event["type"]) for event in heard(host, every)]
        assert found == ["1", "m.room.topic", "4", "5"]
        assert [event["is_filled"] for event in heard(host, every)] == [True, True, True, False]
        assert [event["body"] for event in heard(host, some)] == ["5"]
        # What fills a gap is not the state of now.
        assert "topic" not in host.call(client, "rooms")["rooms"][0]
    pages = [request.query for request in script.asked if request.path.endswith("/messages")]
    assert [(page["from"], page["to"], page["dir"]) for page in pages] == [
        ("p1", "s1", "b"), ("p2", "s1", "b"),
    ]  # fmt: skip


def test_a_gap_has_a_limit(host: RuntimeHost) -> None:
    script = Server(answer("s1", join={"!r:x": joined()}), answer("s2", join={"!r:x": limited()}))
    for page in range(10):
        chunk = [message("x", number=page * 100 + index) for index in range(100)]
        script.other.append(Answer({"chunk": chunk, "end": f"p{page + 2}"}))
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        wish = host.subscribe(client, "message", fill_gaps=True)
        host.call(client, "sync_once")
        host.call(client, "sync_once")
    assert len(heard(host, wish)) == 1000
    assert any("a gap is larger" in record["message"] for record in host.logs)


def test_a_gap_goes_on_past_a_page_without_events(host: RuntimeHost) -> None:
    script = Server(
        answer("s1", join={"!r:x": joined(message("0", number=0))}),
        answer("s2", join={"!r:x": limited(message("5", number=5))}),
    )
    # As where all events of a page are those of a user who is ignored.
    script.other = [
        Answer({"chunk": [message("4", number=4)], "end": "p2"}),
        Answer({"chunk": [], "end": "p3"}),
        Answer({"chunk": [message("1", number=1), message("0", number=0)], "end": "p4"}),
    ]
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        wish = host.subscribe(client, "message", fill_gaps=True)
        host.call(client, "sync_once")
        host.events.clear()
        host.call(client, "sync_once")
    assert [event["body"] for event in heard(host, wish)] == ["1", "4", "5"]


def test_a_gap_without_any_events_ends(host: RuntimeHost) -> None:
    script = Server(answer("s1", join={"!r:x": joined()}), answer("s2", join={"!r:x": limited()}))
    script.other = [Answer({"chunk": [], "end": f"p{page + 2}"}) for page in range(101)]
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        host.subscribe(client, "message", fill_gaps=True)
        host.call(client, "sync_once")
        host.call(client, "sync_once")
    assert len(script.other) == 1
    assert any("a gap is larger than 100 empty pages" in record["message"] for record in host.logs)


@pytest.mark.parametrize("page", [{}, {"error": "x"}, {"chunk": None, "end": "p2"}])
def test_a_page_of_a_gap_that_is_none_is_not_its_end(host: RuntimeHost, page: Any) -> None:
    script = Server(answer("s1", join={"!r:x": joined()}), answer("s2", join={"!r:x": limited()}))
    script.other = [Answer(page)]
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        host.subscribe(client, "message", fill_gaps=True)
        host.call(client, "sync_once")
        host.call(client, "sync_once")
    assert any("a gap stays" in record["message"] for record in host.logs)


def test_gaps_beyond_the_limit_of_a_sync_are_logged(
    host: RuntimeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "_MOST_IN_ALL", 2)
    names = ["!a:x", "!b:x", "!c:x", "!d:x"]
    script = Server(
        answer("s1", join={name: joined() for name in names}),
        answer("s2", join={name: limited() for name in names}),
    )
    script.other = [Answer({"chunk": [message("x")]})] * 4
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        wish = host.subscribe(client, "message", fill_gaps=True)
        host.call(client, "sync_once")
        host.call(client, "sync_once")
    assert [event["room_id"] for event in heard(host, wish)] == names[:2]
    stay = [record["message"] for record in host.logs if "a gap stays" in record["message"]]
    assert [text.split(": ")[0] for text in stay] == names[2:]


def test_a_gap_before_the_user_left_is_filled(host: RuntimeHost) -> None:
    script = Server(
        answer("s1", join={"!r:x": joined()}),
        answer("s2", leave={"!r:x": limited(message("last"))}),
    )
    script.other = [Answer({"chunk": [message("missed")]})]
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        wish = host.subscribe(client, "message", fill_gaps=True)
        host.call(client, "sync_once")
        host.call(client, "sync_once")
        [room] = host.call(client, "rooms", membership="leave")["rooms"]
    assert room["room_id"] == "!r:x"
    assert [event["body"] for event in heard(host, wish)] == ["missed", "last"]


@pytest.mark.parametrize("status", [500, 200])
def test_a_gap_that_is_refused_stays_and_one_that_fails_repeats_the_sync(
    host: RuntimeHost, tmp_path: Path, status: int
) -> None:
    first, gap = answer("s1", join={"!r:x": joined()}), limited(message("new"))
    script = Server(first, *[answer("s2", join={"!r:x": gap})] * 2)
    script.other = [
        Answer(b"<html>", status),
        Answer({"errcode": "M_FORBIDDEN", "error": "no"}, 403),
    ]
    with ScriptedServer(script) as server:
        client = host.client(server.url, store_path=str(tmp_path), **SESSION)
        wish = host.subscribe(client, "message", fill_gaps=True)
        host.call(client, "sync_once")
        host.refuse(client, "sync_once")
        assert not heard(host, wish)
        assert host.call(client, "sync_once")["next_batch"] == "s2"
        assert [event["body"] for event in heard(host, wish)] == ["new"]
    syncs = [request for request in script.asked if request.path.endswith("/sync")]
    assert [request.query.get("since") for request in syncs] == [None, "s1", "s1"]


@pytest.mark.parametrize("name", ["state_after", "org.matrix.msc4222.state_after"])
def test_state_after_the_timeline_is_the_state(host: RuntimeHost, name: str) -> None:
    lost, won = state("m.room.topic", topic="lost"), state("m.room.topic", topic="won")
    lost["event_id"] = "$lost"
    room = {"timeline": {"events": [won, lost]}, name: {"events": [won]}}
    with ScriptedServer(Server(answer("s1", join={"!r:x": room}))) as server:
        client = host.client(server.url, **SESSION)
        wish = host.subscribe(client, "state")
        host.call(client, "sync_once")
        assert host.call(client, "rooms")["rooms"][0]["topic"] == "won"
        found = host.call(client, "state_event", room_id="!r:x", type="m.room.topic")
        assert found["content"] == {"topic": "won"}
    # Each once, in the order of the timeline.
    assert [event["content"]["topic"] for event in heard(host, wish)] == ["won", "lost"]


def test_what_is_kept_counts_before_it_is_consumed(host: RuntimeHost) -> None:
    room = joined(state("m.room.topic", topic="new"))
    room["account_data"] = {"events": [{"type": "m.x", "content": {"n": 1}}]}
    with ScriptedServer(Server(answer("s1", join={"!r:x": room}))) as server:
        client = host.client(server.url, **SESSION)
        host.subscribe(client, "state")
        host.consumes = False
        host.call(client, "sync_once")
        found = host.call(client, "state_event", room_id="!r:x", type="m.room.topic")
        assert found["content"] == {"topic": "new"}
        data = host.call(client, "account_data", type="m.x", room_id="!r:x")
        assert data["content"] == {"n": 1}
