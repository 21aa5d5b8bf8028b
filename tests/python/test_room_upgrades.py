"""Rooms that replace each other, where a homeserver answers what it should not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.answered import V3, Place, Scene, state
from tests.support.scripted import Answer


def test_tombstones_that_lead_in_a_circle(scene: Scene, answers: dict[Place, Any]) -> None:
    for room_id, next_id in (("!a", "!b"), ("!b", "!c"), ("!c", "!a")):
        answers["GET", state(room_id, "m.room.tombstone")] = {
            "type": "m.room.tombstone",
            "sender": "@admin:far",
            "content": {"replacement_room": next_id, "body": "moved"},
        }
        answers["POST", f"{V3}/join/{next_id}"] = {"room_id": next_id}
    assert scene.call("join_successor", room_id="!a") == {"room_id": "!c"}
    joins = [each for each in scene.server.requests if each.method == "POST"]
    assert [each.path for each in joins] == [f"{V3}/join/!b", f"{V3}/join/!c"]
    assert joins[0].query == {"via": "far", "server_name": "far"}


def test_a_tombstone_of_an_older_server(scene: Scene, answers: dict[Place, Any]) -> None:
    """It gives the content alone; then only the id says where the room is."""
    path = state("!a", "m.room.tombstone")
    answers["GET", path] = {"replacement_room": "!b:far:8448", "body": 7}
    found = scene.call("room_successor", room_id="!a")
    assert found == {"successor_room_id": "!b:far:8448", "via": ["far:8448"]}
    answers["GET", path] = {"replacement_room": None}
    assert scene.call("room_successor", room_id="!a") == {"via": []}
    assert scene.refuse("join_successor", room_id="!a")["code"] == "M_NOT_FOUND"


def test_the_last_successor_is_closed(scene: Scene, answers: dict[Place, Any]) -> None:
    closed = Answer({"errcode": "M_FORBIDDEN", "error": "no"}, 403)
    for room_id, next_id in (("!a", "!b"), ("!b", "!c")):
        answers["GET", state(room_id, "m.room.tombstone")] = {"replacement_room": next_id}
    answers["POST", f"{V3}/join/!c"] = closed
    answers["POST", f"{V3}/join/!b"] = {"room_id": "!b"}
    assert scene.call("join_successor", room_id="!a") == {"room_id": "!b"}
    answers["POST", f"{V3}/join/!b"] = closed
    assert scene.refuse("join_successor", room_id="!a")["code"] == "M_FORBIDDEN"


def test_tombstones_without_end_are_not_followed_for_ever(
    scene: Scene, answers: dict[Place, Any]
) -> None:
    for number in range(30):
        next_id = f"!{number + 1}"
        answers["GET", state(f"!{number}", "m.room.tombstone")] = {"replacement_room": next_id}
        answers["POST", f"{V3}/join/{next_id}"] = {"room_id": next_id}
    assert scene.call("join_successor", room_id="!0") == {"room_id": "!20"}
    joins = [each for each in scene.server.requests if each.method == "POST"]
    assert len(joins) == 20
    # Who wants to goes on from there.
    assert scene.call("join_successor", room_id="!20") == {"room_id": "!30"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"predecessor": {"room_id": "!a"}}, {"predecessor_room_id": "!a"}),
        ({"predecessor": {"room_id": 7, "event_id": "$x"}}, {"event_id": "$x"}),
        ({"predecessor": "!a"}, {}),
        ({}, {}),
    ],
)
def test_predecessors(
    scene: Scene, answers: dict[Place, Any], content: Any, expected: dict[str, str]
) -> None:
    answers["GET", state("!b", "m.room.create")] = content
    assert scene.call("room_predecessor", room_id="!b") == expected
