"""m.direct as others leave it, and as homeservers keep it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.answered import BOB, ME, V3, Place, Scene, member
from tests.support.scripted import Answer, Request

DIRECT = f"{V3}/user/{ME}/account_data/m.direct"


def keep_direct(answers: dict[Place, Any], content: Any) -> list[Any]:
    """A homeserver that keeps m.direct; the list holds what it has had."""
    had = [content]

    def put(request: Request) -> Any:
        had.append(request.body)
        return {}

    answers["GET", DIRECT] = lambda _: Answer(json.dumps(had[-1]).encode())
    answers["PUT", DIRECT] = put
    return had


@pytest.mark.parametrize("content", [{BOB: "!old"}, {BOB: [None, {}]}])
def test_a_malformed_m_direct(scene: Scene, answers: dict[Place, Any], content: Any) -> None:
    had = keep_direct(answers, content)
    assert scene.call("direct_rooms") == {"rooms": []}
    scene.call("remove_direct_room", room_id="!old")
    assert len(had) == 1
    scene.call("add_direct_room", user_id=BOB, room_id="!room")
    assert had[-1] == {BOB: ["!room"]}
    assert scene.call("direct_rooms") == {"rooms": [{"user_id": BOB, "room_ids": ["!room"]}]}


@pytest.mark.parametrize("content", [[], "rooms", None, 7, b"<html>", b'{"@x:y":'])
def test_an_m_direct_that_is_no_map_is_not_written_over(
    scene: Scene, answers: dict[Place, Any], content: Any
) -> None:
    had = keep_direct(answers, content)
    if isinstance(content, bytes):
        answers["GET", DIRECT] = Answer(content)
    for operation, given in (
        ("direct_rooms", {}),
        ("add_direct_room", {"user_id": BOB, "room_id": "!room"}),
        ("remove_direct_room", {"room_id": "!room"}),
        ("direct_room", {"user_id": BOB}),
    ):
        assert scene.refuse(operation, **given)["code"] == "E_INVALID_RESPONSE"
    assert len(had) == 1


def test_what_others_keep_in_m_direct_stays_to_the_letter(
    scene: Scene, answers: dict[Place, Any]
) -> None:
    strange = b'{"@x:y":{"n":123456789012345678901234567890,"f":1e400},"@bob:localhost":[]}'
    answers["GET", DIRECT] = Answer(strange)
    seen: list[bytes] = []

    def put(request: Request) -> Any:
        seen.append(json.dumps(request.body).encode())
        answers["GET", DIRECT] = Answer(strange.replace(b"[]", b'["!room"]'))
        return {}

    answers["PUT", DIRECT] = put
    scene.call("add_direct_room", user_id=BOB, room_id="!room")
    assert b"123456789012345678901234567890" in seen[0]


def test_another_device_writes_m_direct_at_the_same_time(
    scene: Scene, answers: dict[Place, Any]
) -> None:
    had = keep_direct(answers, {})
    keep = answers["PUT", DIRECT]

    def put(request: Request) -> Any:
        keep(request)
        if len(had) == 2:
            had.append({"@carol:localhost": ["!other"]})
        return {}

    answers["PUT", DIRECT] = put
    scene.call("add_direct_room", user_id=BOB, room_id="!room")
    assert had[-1] == {"@carol:localhost": ["!other"], BOB: ["!room"]}


def test_a_homeserver_that_does_not_keep_m_direct(scene: Scene, answers: dict[Place, Any]) -> None:
    answers["GET", DIRECT] = {}
    answers["PUT", DIRECT] = {}
    answers["POST", f"{V3}/createRoom"] = {"room_id": "!new"}
    error = scene.refuse("add_direct_room", user_id=BOB, room_id="!room")
    assert error["code"] == "E_INVALID_RESPONSE"
    # The room is there all the same.
    made = scene.call("create_room", invite=[BOB], is_direct=True)
    assert made == {"room_id": "!new"}
    assert any("m.direct" in str(log) for log in scene.host.logs)


@pytest.mark.parametrize("status", [403, 404])
def test_a_listed_room_that_cannot_be_asked_about(
    scene: Scene, answers: dict[Place, Any], status: int
) -> None:
    keep_direct(answers, {BOB: ["!a", "!b"]})
    answers["GET", f"{V3}/joined_rooms"] = {"joined_rooms": ["!a", "!b"]}
    answers["GET", f"{V3}/rooms/!a/members"] = Answer({"errcode": "M_FORBIDDEN"}, status)
    members = [member(ME), member(BOB, "invite"), {"type": "m.room.member"}, 7]
    answers["GET", f"{V3}/rooms/!b/members"] = {"chunk": members}
    assert scene.call("find_direct_room", user_id=BOB) == {"room_id": "!b"}
    members[1] = member(BOB, "ban")
    assert scene.call("find_direct_room", user_id=BOB) == {}
    answers["GET", f"{V3}/rooms/!b/members"] = Answer({"errcode": "M_UNKNOWN"}, 500)
    assert scene.refuse("find_direct_room", user_id=BOB)["code"] == "M_UNKNOWN"


def test_the_newest_of_the_best_is_taken_and_no_other_asked_about(
    scene: Scene, answers: dict[Place, Any]
) -> None:
    listed = [f"!{number}" for number in range(30)]
    keep_direct(answers, {BOB: [*listed, "!invited", "!crowd", "!not-joined"]})
    answers["GET", f"{V3}/joined_rooms"] = {"joined_rooms": [*listed, "!invited", "!crowd"]}
    both = [member(ME), member(BOB)]
    for room_id in listed:
        answers["GET", f"{V3}/rooms/{room_id}/members"] = {"chunk": both}
    answers["GET", f"{V3}/rooms/!crowd/members"] = {"chunk": [*both, member("@carol:localhost")]}
    invited = {"chunk": [member(ME), member(BOB, "invite")]}
    answers["GET", f"{V3}/rooms/!invited/members"] = invited
    assert scene.call("find_direct_room", user_id=BOB) == {"room_id": "!29"}
    asked = {each.path.split("/")[5] for each in scene.server.requests if "/rooms/" in each.path}
    assert asked == {"!crowd", "!invited", "!29"}
