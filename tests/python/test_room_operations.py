"""Operations on rooms where a homeserver answers what it should not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.answered import BOB, ME, V3, Place, Scene, member, state
from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request

# -- levels, pins, servers ----------------------------------------------------------------------

POWER = state("!room", "m.room.power_levels")


def sent(answers: dict[Place, Any], path: str) -> Callable[[], Any]:
    """The last body that was put there."""
    bodies: list[Any] = []

    def put(request: Request) -> Any:
        bodies.append(request.body)
        return {"event_id": "$new"}

    answers["PUT", path] = put
    return lambda: bodies[-1] if bodies else None


def test_levels_that_are_not_changed_stay(scene: Scene, answers: dict[Place, Any]) -> None:
    levels = {
        "users": {ME: 100, "@x:y": "50"},
        "notifications": {"room": 20, "org.example": 7},
        "org.example": {"n": 1},
        "users_default": 10,
    }
    answers["GET", POWER] = levels
    answers["GET", f"{V3}/rooms/!room/state"] = []
    body = sent(answers, POWER)
    scene.call("set_power_levels", room_id="!room", notify_room=30, ban=60)
    assert body() == levels | {"notifications": {"room": 30, "org.example": 7}, "ban": 60}
    scene.call("set_power_level", room_id="!room", user_id=BOB, level=50)
    assert body() == levels | {"users": levels["users"] | {BOB: 50}}  # type: ignore[operator]
    scene.call("set_power_level", room_id="!room", user_id=ME, level=10)
    assert body() == levels | {"users": {"@x:y": "50"}}
    assert scene.call("set_power_level", room_id="!room", user_id=BOB, level=10) == {}


def test_levels_of_a_room_that_says_nothing(scene: Scene, answers: dict[Place, Any]) -> None:
    """Its creator stands at 100 without a word, and must not fall when the first word is said."""
    create = {"type": "m.room.create", "state_key": "", "sender": ME, "event_id": "$c"}
    create["content"] = {"room_version": "11"}  # type: ignore[assignment]
    answers["GET", f"{V3}/rooms/!room/state"] = [create]
    body = sent(answers, POWER)
    scene.call("set_power_level", room_id="!room", user_id=BOB, level=50)
    assert body() == {"users": {ME: 100, BOB: 50}}


def test_pins_that_are_malformed(scene: Scene, answers: dict[Place, Any]) -> None:
    path = state("!room", "m.room.pinned_events")
    answers["GET", path] = {"pinned": ["$a", 7, "$a", None], "org.example": 1}
    body = sent(answers, path)
    assert scene.call("pinned_events", room_id="!room") == {"event_ids": ["$a"]}
    pinned = scene.call("pin_event", room_id="!room", event_id="$b")
    assert pinned == {"event_ids": ["$a", "$b"]}
    assert body() == {"pinned": ["$a", "$b"], "org.example": 1}
    answers["GET", path] = {"pinned": "all"}
    assert scene.call("pinned_events", room_id="!room") == {"event_ids": []}


def test_servers_to_join_through(scene: Scene, answers: dict[Place, Any]) -> None:
    users = ["@a:big", "@b:big", "@c:small:80", "@d:mid", "@e:mid", "@f:9.9.9.9", "@g:evil.org"]
    users += ["@h:[::1]:443", "@admin:high", "@i:evil.org", "@j:evil.org", "@k:big", "@l:tiny"]
    chunk = [*map(member, users), member("@gone:huge", "leave")]
    answers["GET", f"{V3}/rooms/!room/members"] = {"chunk": chunk}
    answers["GET", f"{V3}/rooms/!room/state"] = []
    answers["GET", POWER] = {"users": {"@admin:high": 60, "@l:tiny": 50}}
    answers["GET", state("!room", "m.room.server_acl")] = {"allow": ["*"], "deny": ["evil.*", 7]}
    body = sent(answers, f"{V3}/rooms/!space/state/m.space.child/!room")
    scene.call("add_space_child", space_id="!space", room_id="!room")
    assert body() == {"via": ["high", "big", "mid"]}
    # Of a room the user is not in, only what the ids say is known.
    body = sent(answers, f"{V3}/rooms/!space/state/m.space.child/!other:far")
    scene.call("add_space_child", space_id="!space", room_id="!other:far")
    assert body() == {"via": ["localhost", "far"]}


@pytest.mark.parametrize("glob", ["*" * 60 + "!", "*e*e*e*e*e*e*?*e*?*e*.*!", "*?" * 40 + "!"])
def test_no_rule_about_servers_is_too_much_work(
    scene: Scene, answers: dict[Place, Any], glob: str
) -> None:
    name = "matrix.homeserver" + ".example" * 20
    users = [f"@a:{name}.org", "@b:ends.with", "@c:1.within.org", "@d:begin.here", "@e:ONE.two"]
    answers["GET", f"{V3}/rooms/!room/members"] = {"chunk": [*map(member, users)]}
    answers["GET", f"{V3}/rooms/!room/state"] = []
    answers["GET", POWER] = {}
    deny = [glob, "*.with", "*.with*.org", "be*.here", "one.t?o"]
    answers["GET", state("!room", "m.room.server_acl")] = {"allow": ["**"], "deny": deny}
    body = sent(answers, f"{V3}/rooms/!space/state/m.space.child/!room")
    scene.call("add_space_child", space_id="!space", room_id="!room")
    assert body() == {"via": [f"{name}.org"]}


def test_servers_of_a_large_room(scene: Scene, answers: dict[Place, Any]) -> None:
    """Those who are known are enough: nobody loads thousands of members for three names."""
    states = [member(user) | {"event_id": f"${user}"} for user in (ME, "@a:big", "@b:big")]
    create = {"type": "m.room.create", "state_key": "", "sender": "@b:big", "event_id": "$c"}
    states.append(create | {"content": {"room_version": "12"}})
    summary = {"m.joined_member_count": 5000}
    joined = {"state": {"events": states}, "summary": summary}
    answers["GET", f"{V3}/sync"] = {"next_batch": "s1", "rooms": {"join": {"!room": joined}}}
    scene.call("sync_once")
    body = sent(answers, f"{V3}/rooms/!room/state/m.space.parent/!room2")
    answers["GET", f"{V3}/rooms/!room2/members"] = Answer({"errcode": "M_FORBIDDEN"}, 403)
    scene.call("add_space_parent", room_id="!room", space_id="!room2")
    assert body() == {"via": ["localhost"]}
    body = sent(answers, f"{V3}/rooms/!space/state/m.space.child/!room")
    scene.call("add_space_child", space_id="!space", room_id="!room")
    assert body() == {"via": ["big", "localhost"]}
    assert not [each for each in scene.server.requests if each.path.endswith("/!room/members")]


def test_aliases_that_are_not_given_stay(scene: Scene, answers: dict[Place, Any]) -> None:
    path = state("!room", "m.room.canonical_alias")
    told = {"alias": "#a:x", "alt_aliases": ["#b:x"], "org.example": 1}
    answers["GET", path] = told
    body = sent(answers, path)
    scene.call("set_canonical_alias", room_id="!room", alt_aliases=["#b:x", "#c:x"])
    assert body() == told | {"alt_aliases": ["#b:x", "#c:x"]}
    scene.call("set_canonical_alias", room_id="!room", alias="#c:x")
    assert body() == told | {"alias": "#c:x"}
    scene.call("set_canonical_alias", room_id="!room", alias="", alt_aliases=[])
    assert body() == {"org.example": 1}
    error = scene.refuse("set_canonical_alias", room_id="!room")
    assert error["code"] == "E_INVALID_ARGUMENT" and error["message"].startswith("alias: ")


# -- tags ---------------------------------------------------------------------------------------


def test_a_malformed_tag_does_not_hide_the_others(scene: Scene, answers: dict[Place, Any]) -> None:
    tags = {"u.a": {"order": 0.5, "x": [1]}, "u.b": None, "u.c": 7, "u.d": {}, "u.e": {"n": 10**30}}
    deep = {"u.f": {"x": json.loads("[" * 300 + "]" * 300)}}
    answers["GET", f"{V3}/user/{ME}/rooms/!room/tags"] = {"tags": tags | deep}
    sound = {"tags": {"u.a": {"order": 0.5, "x": [1]}, "u.d": {}}}
    assert scene.call("room_tags", room_id="!room", reload=True) == sound
    told = [{"type": "m.tag", "content": {"tags": tags | {"u.e": []}}}]
    rooms = {"join": {"!room": {"account_data": {"events": told}}}}
    answers["GET", f"{V3}/sync"] = {"next_batch": "s1", "rooms": rooms}
    scene.call("sync_once")
    assert scene.call("room_tags", room_id="!room") == sound
    [room] = scene.call("rooms")["rooms"]
    assert room["tags"] == sound["tags"]


# -- creating -----------------------------------------------------------------------------------


def test_invitations_by_address(scene: Scene, answers: dict[Place, Any]) -> None:
    answers["POST", f"{V3}/createRoom"] = {"room_id": "!new"}
    address = {
        "id_server": "id.example.org",
        "id_access_token": "very-secret",
        "medium": "email",
        "address": "bob@example.org",
    }
    scene.call("create_room", invite_3pid=[address], is_direct=True)
    [body] = scene.bodies("POST", f"{V3}/createRoom")
    assert body == {"visibility": "private", "is_direct": True, "invite_3pid": [address]}
    error = scene.refuse("create_room", invite_3pid=[address | {"medium": 7}])
    assert error["code"] == "E_INVALID_ARGUMENT" and "invite_3pid[1]" in error["message"]
    assert "very-secret" not in str(scene.host.logs) + str(error)


def test_levels_of_a_new_space(scene: Scene, answers: dict[Place, Any]) -> None:
    path = f"{V3}/createRoom"
    answers["POST", path] = {"room_id": "!new"}
    name = "power_level_content_override"
    for given in ({}, {name: {"invite": 60}}, {name: {"events_default": 0}}):
        scene.call("create_space", **given)
    bodies = scene.bodies("POST", path)
    assert [body[name] for body in bodies] == [
        {"events_default": 100},
        {"events_default": 100, "invite": 60},
        {"events_default": 0},
    ]
    error = scene.refuse("create_space", **{name: [1]})
    assert error["code"] == "E_INVALID_ARGUMENT" and error["message"].startswith(name)


def test_creators_have_no_level_from_version_12_on(scene: Scene, answers: dict[Place, Any]) -> None:
    answers["POST", f"{V3}/createRoom"] = {"room_id": "!new"}
    for user_id in (ME, BOB):
        levels = {"users": {user_id: 100}}
        given = {"power_level_content_override": levels, "additional_creators": [BOB]}
        for version in ("12", "13", "org.matrix.hydra.11"):
            error = scene.refuse("create_room", room_version=version, **given)
            assert error["code"] == "E_INVALID_ARGUMENT"
            assert error["message"].startswith("power_level_content_override: " + user_id)
    assert not scene.server.requests
    # What version the homeserver takes by default is not known.
    levels = {"users": {ME: 100}}
    for more in ({"room_version": "11"}, {}):
        scene.call("create_room", power_level_content_override=levels, **more)
    scene.call("create_room", room_version="12", power_level_content_override={"users": {BOB: 50}})


def test_an_answer_without_a_room(scene: Scene, answers: dict[Place, Any]) -> None:
    answers["POST", f"{V3}/createRoom"] = {"room": "!new"}
    assert scene.refuse("create_room")["code"] == "E_INVALID_RESPONSE"
    answers["POST", f"{V3}/join/!room"] = []
    assert scene.refuse("join_room", room_id_or_alias="!room")["code"] == "E_INVALID_RESPONSE"


def test_nobody_is_asked_without_a_session(answers: dict[Place, Any]) -> None:
    with RuntimeHost() as host:
        client = host.client()
        for operation, arguments in (
            ("create_room", {}),
            ("direct_room", {"user_id": BOB}),
            ("pinned_events", {"room_id": "!room"}),
            ("set_power_levels", {"room_id": "!room", "ban": 1}),
            ("space_children", {"space_id": "!space"}),
            ("room_tags", {"room_id": "!room"}),
        ):
            assert host.refuse(client, operation, **arguments)["code"] == "E_NOT_LOGGED_IN"


@pytest.mark.parametrize("room_id", ["#tea:localhost", "room", ""])
def test_what_is_sent_names_its_room_by_the_id(scene: Scene, room_id: str) -> None:
    error = scene.refuse("send_text", room_id=room_id, body="tea")
    assert error["code"] == "E_INVALID_ARGUMENT"
    assert error["message"].startswith("room_id: ")
    assert ("alias" in error["message"]) == room_id.startswith("#")
