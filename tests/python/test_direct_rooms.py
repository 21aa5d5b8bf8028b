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


def invite(scene: Scene, answers: dict[Place, Any], *room_ids: str) -> None:
    """Bob has invited the user to direct chats, and a sync tells."""
    content = {"membership": "invite", "is_direct": True}
    told = {"invite_state": {"events": [member(ME) | {"sender": BOB, "content": content}]}}
    rooms = {"invite": dict.fromkeys(room_ids, told)}
    answers["GET", f"{V3}/sync"] = {"next_batch": "s1", "rooms": rooms}
    scene.call("sync_once")


def test_an_invitation_that_is_void_is_passed_over(scene: Scene, answers: dict[Place, Any]) -> None:
    had = keep_direct(answers, {})
    invite(scene, answers, "!a", "!b")
    answers["POST", f"{V3}/join/!a"] = Answer({"errcode": "M_FORBIDDEN", "error": "gone"}, 403)
    answers["POST", f"{V3}/join/!b"] = {"room_id": "!b"}
    made = scene.call("direct_room", user_id=BOB)
    assert made == {"room_id": "!b", "is_new": False}
    assert had[-1] == {BOB: ["!b"]}


def test_not_all_invitations_of_a_user_are_tried(scene: Scene, answers: dict[Place, Any]) -> None:
    had = keep_direct(answers, {})
    invite(scene, answers, *(f"!{number}" for number in range(50)))
    answers["POST", f"{V3}/createRoom"] = {"room_id": "!new"}
    assert scene.call("direct_room", user_id=BOB) == {"room_id": "!new", "is_new": True}
    assert had[-1] == {BOB: ["!new"]}
    joins = [each for each in scene.server.requests if "/join/" in each.path]
    assert len(joins) == 10


@pytest.mark.parametrize("room", ["!a", "#tea:localhost"])
def test_a_direct_chat_is_joined_by_id_or_alias(
    scene: Scene, answers: dict[Place, Any], room: str
) -> None:
    had = keep_direct(answers, {})
    invite(scene, answers, "!a", "!b")
    answers["POST", f"{V3}/join/{room}"] = {"room_id": "!a"}
    assert scene.call("join_room", room_id_or_alias=room) == {"room_id": "!a"}
    assert had[-1] == {BOB: ["!a"]}
