"""Rooms that are looked at before they are joined, at homeservers of all ages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.answered import UNRECOGNIZED, V3, Place, Scene
from tests.support.scripted import Answer

STABLE = "/_matrix/client/v1/room_summary/!room"
EARLY = "/_matrix/client/unstable/im.nheko.summary/summary/!room"
EARLIER = "/_matrix/client/unstable/im.nheko.summary/rooms/!room/summary"
HIERARCHY = "/_matrix/client/v1/rooms/!room/hierarchy"


@pytest.mark.parametrize("unknown", [UNRECOGNIZED, Answer(b"<html>", 404), Answer(b"", 405)])
@pytest.mark.parametrize("path", [STABLE, EARLY, EARLIER])
def test_a_summary_by_older_paths(
    scene: Scene, answers: dict[Place, Any], path: str, unknown: Answer
) -> None:
    answers.update({("GET", each): unknown for each in (STABLE, EARLY, EARLIER)})
    answers["GET", path] = {
        "room_id": "!room",
        "num_joined_members": 3.0,
        "name": 7,
        "topic": "tea",
        "world_readable": "yes",
        "membership": "guest",
        "im.nheko.summary.room_version": "10",
        "allowed_room_ids": ["!a", 1],
    }
    found = scene.call("room_summary", room_id_or_alias="!room")["room"]
    assert found == {
        "room_id": "!room", "topic": "tea", "joined_member_count": 3, "version": "10",
        "is_world_readable": False, "guest_can_join": False, "allowed_room_ids": ["!a"],
    }  # fmt: skip


def test_a_summary_that_is_refused(scene: Scene, answers: dict[Place, Any]) -> None:
    assert scene.refuse("room_summary", room_id_or_alias="!room")["code"] == "M_NOT_FOUND"
    assert len(scene.server.requests) == 1
    answers.update({("GET", each): UNRECOGNIZED for each in (STABLE, EARLY, EARLIER, HIERARCHY)})
    assert scene.refuse("room_summary", room_id_or_alias="!room")["code"] == "M_UNRECOGNIZED"


def test_a_summary_of_a_server_without_summaries(scene: Scene, answers: dict[Place, Any]) -> None:
    """Spaces are older: a page of one room tells of it, whether it is a space or not."""
    unknown = [
        STABLE,
        EARLY,
        EARLIER,
        *(each.replace("!room", "#tea:x") for each in (STABLE, EARLY, EARLIER)),
    ]
    answers.update({("GET", each): UNRECOGNIZED for each in unknown})
    answers["GET", f"{V3}/directory/room/#tea:x"] = {"room_id": "!room", "servers": ["x"]}
    answers["GET", HIERARCHY] = {
        "rooms": [
            {"room_id": "!room", "name": "Tea", "num_joined_members": 2, "children_state": []}
        ]
    }
    for name in ("!room", "#tea:x"):
        found = scene.call("room_summary", room_id_or_alias=name)["room"]
        assert (found["name"], found["joined_member_count"]) == ("Tea", 2)
    assert scene.server.requests[-1].query == {"limit": "1", "max_depth": "0"}
    answers["GET", HIERARCHY] = {"rooms": []}
    assert scene.refuse("room_summary", room_id_or_alias="!room")["code"] == "M_NOT_FOUND"
    answers["GET", HIERARCHY] = Answer({"errcode": "M_FORBIDDEN", "error": "no"}, 403)
    assert scene.refuse("room_summary", room_id_or_alias="!room")["code"] == "M_FORBIDDEN"
    del answers["GET", f"{V3}/directory/room/#tea:x"]
    assert scene.refuse("room_summary", room_id_or_alias="#tea:x")["code"] == "M_NOT_FOUND"


def test_pages_with_rooms_that_are_none(scene: Scene, answers: dict[Place, Any]) -> None:
    sound = {"room_id": "!good", "num_joined_members": 1, "extra": {"deep": [1]}}
    answers["POST", f"{V3}/publicRooms"] = {
        "chunk": [7, {"name": "none"}, sound, {"room_id": 1}],
        "total_room_count_estimate": "many",
    }
    found = scene.call("public_rooms", room_types=["", "m.space"], search_term="tea")
    assert [room["room_id"] for room in found["rooms"]] == ["!good"]
    assert "total_room_count_estimate" not in found
    [body] = scene.bodies("POST", f"{V3}/publicRooms")
    assert body == {"filter": {"generic_search_term": "tea", "room_types": [None, "m.space"]}}
    answers["POST", f"{V3}/publicRooms"] = {"rooms": []}
    assert scene.refuse("public_rooms")["code"] == "E_INVALID_RESPONSE"


def children_of_all_kinds() -> list[Any]:
    def child(room_id: Any, content: Any, sent: Any = 5) -> Any:
        event = {"type": "m.space.child", "state_key": room_id, "content": content}
        return event | {"origin_server_ts": sent}

    via = {"via": ["localhost", 7, ""]}
    return [
        child("!late", via, 9),
        child("!second", via),
        child("!first", via),
        child("!untimed", via, "soon"),
        child("!long", via | {"order": "x" * 51}, 1),
        child("!b", via | {"order": "b", "suggested": True}),
        child("!a", via | {"order": "a"}, 99),
        child("!strange", via | {"order": "\x7f"}, 2),
        child("!gone", {}),
        child("!servers", {"via": "localhost"}),
        child("!list", []),
        child(7, via),
        {"type": "m.room.name", "state_key": "", "content": via},
        "event",
    ]


def test_children_in_the_order_to_show(scene: Scene, answers: dict[Place, Any]) -> None:
    events = children_of_all_kinds()
    answers["GET", "/_matrix/client/v1/rooms/!space/hierarchy"] = {
        "rooms": [
            {"room_id": "!space", "children_state": events},
            {"children_state": events},
            {"room_id": "!x", "children_state": 7},
        ],
        "next_batch": "more",
    }
    found = scene.call("space_hierarchy", space_id="!space", from_token="page", limit=5)
    assert scene.server.requests[0].query == {"limit": "5", "from": "page"}
    assert found["next_batch"] == "more" and found["rooms"][1]["children"] == []
    children = found["rooms"][0]["children"]
    shown = [each["room_id"] for each in children]
    expected = ["!a", "!b", "!long", "!strange", "!first", "!second", "!late", "!untimed"]
    assert shown == expected
    assert children[0] == {
        "room_id": "!a", "via": ["localhost"], "order": "a", "suggested": False,
        "origin_server_ts": 99,
    }  # fmt: skip
    assert children[1]["suggested"] is True and "order" not in children[2]
