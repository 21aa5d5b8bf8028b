"""Answers to /sync that are whole, and those that are not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libmatrix.errors import ResponseError
from libmatrix.sync.response import decode_sync
from tests.support.json_places import paths, put

EVENT = {"type": "m.room.message", "event_id": "$1", "sender": "@a:x", "content": {"body": "hi"}}
ROOM: dict[str, Any] = {
    "summary": {"m.heroes": ["@a:x"], "m.joined_member_count": 2, "m.invited_member_count": 0},
    "state": {"events": [EVENT]},
    "timeline": {"events": [EVENT, EVENT], "limited": True, "prev_batch": "p"},
    "account_data": {"events": []},
    "unread_notifications": {"notification_count": 3, "highlight_count": 1},
}
WHOLE: dict[str, Any] = {
    "next_batch": "s1",
    "account_data": {"events": [{"type": "m.direct", "content": {}}]},
    "rooms": {
        "join": {"!a:x": ROOM, "!b": ROOM},
        "invite": {"!c:x": {"invite_state": {"events": [EVENT]}}},
        "leave": {"!d:x": {"timeline": {"events": [EVENT]}}},
        "knock": {"!e:x": {"knock_state": {"events": []}}},
    },
}
DEEP = b"[" * 100_000 + b"]" * 100_000


def test_whole_answer() -> None:
    response, broken = decode_sync(json.dumps(WHOLE).encode())
    assert broken == []
    room = response.rooms.join["!b"]
    assert room.summary is not None and room.summary.heroes == ["@a:x"]
    assert len(room.timeline.events) == 2 and room.timeline.prev_batch == "p"
    assert list(response.rooms.leave) == ["!d:x"]


def test_little_is_an_answer() -> None:
    response, broken = decode_sync(b'{"next_batch":"s2"}')
    assert response.next_batch == "s2" and not response.rooms.join and not broken


@pytest.mark.parametrize("poison", [DEEP, b'"\\ud800 and more"', b'"\\udc00\\u0000"'])
def test_one_event_harms_no_other(poison: bytes) -> None:
    body = json.dumps(WHOLE).encode()
    marked = json.dumps(EVENT).encode()
    assert body.count(marked) > 4
    broken_event = b'{"type":"m.x","content":{"poison":' + poison + b"}}"
    body = body.replace(marked, broken_event, 1)
    response, broken = decode_sync(body)
    assert broken == []
    room = response.rooms.join["!a:x"]
    assert bytes(room.state.events[0]) == broken_event
    assert [json.loads(bytes(raw)) for raw in room.timeline.events] == [EVENT, EVENT]
    assert len(response.rooms.join["!b"].timeline.events) == 2
    assert room.unread_notifications is not None
    assert room.unread_notifications.notification_count == 3


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{}", b'{"next_batch":5}', b"<html>", DEEP])
def test_no_answer_at_all(body: bytes) -> None:
    with pytest.raises(ResponseError):
        decode_sync(body)


@pytest.mark.parametrize("end", [b"}", b'\\"}', b"]}}"])
def test_a_string_without_an_end_is_looked_at_once(end: bytes) -> None:
    body = b'{"next_batch":"s1","device_lists":{"left":["@a:x"]},"rooms":"'
    response, broken = decode_sync(body + b'\\"' * 1_000_000 + end)
    assert response.device_lists.left == ["@a:x"] and broken == ["rooms"]


@pytest.mark.parametrize("rooms", [b'{"join":[{}', b'{"join":{}}}', b'["', b"{", b'{"join'])
def test_what_does_not_end_where_it_should_is_told(rooms: bytes) -> None:
    response, broken = decode_sync(b'{"next_batch":"s1","rooms":' + rooms + b"}")
    assert response.next_batch == "s1" and broken


PLACES = [path for path in paths(WHOLE) if path != ("next_batch",)]
WRONG = st.sampled_from([None, True, 5, -1, 1.5, "text", [], [1], {}, {"a": 1}, 10**30])


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(PLACES), WRONG), min_size=1, max_size=3))
def test_wrong_types_anywhere_never_raise(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    value = json.loads(json.dumps(WHOLE))
    for path, wrong in changes:
        put(value, path, wrong)
    response, _ = decode_sync(json.dumps(value).encode())
    assert response.next_batch == "s1"
    touched = {path[:3] for path, _ in changes}
    if not any(("rooms", "join", "!b")[: len(path)] == path for path in touched):
        assert len(response.rooms.join["!b"].timeline.events) == 2
