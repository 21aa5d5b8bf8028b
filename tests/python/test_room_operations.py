"""Operations on rooms where a homeserver answers what it should not, or is an older one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer

V3 = "/_matrix/client/v3"
ME = "@me:localhost"
BOB = "@bob:localhost"
MISSING = Answer({"errcode": "M_NOT_FOUND", "error": "there is none"}, 404)
UNRECOGNIZED = Answer({"errcode": "M_UNRECOGNIZED", "error": "what?"}, 404)

Place = tuple[str, str]


class Scene:
    """A client of a server that answers by method and path; the rest is M_NOT_FOUND."""

    def __init__(self, host: RuntimeHost, server: ScriptedServer) -> None:
        self.host = host
        self.server = server
        self.client = host.client(server.url, user_id=ME, access_token="token")

    def call(self, operation: str, **arguments: Any) -> Any:
        return self.host.call(self.client, operation, **arguments)

    def refuse(self, operation: str, **arguments: Any) -> Any:
        return self.host.refuse(self.client, operation, **arguments)

    def bodies(self, method: str, path: str) -> list[Any]:
        """What was sent there."""
        requests = self.server.requests
        return [each.body for each in requests if (each.method, each.path) == (method, path)]


@pytest.fixture
def answers() -> dict[Place, Any]:
    """What the server says: an answer, a body, or a function of the request."""
    return {}


@pytest.fixture
def scene(answers: dict[Place, Any]) -> Iterator[Scene]:
    def script(request: Request) -> Answer:
        found = answers.get((request.method, request.path), MISSING)
        if callable(found):
            found = found(request)
        return found if isinstance(found, Answer) else Answer(found)

    with ScriptedServer(script) as server, RuntimeHost() as host:
        yield Scene(host, server)


def state(room_id: str, kind: str) -> str:
    return f"{V3}/rooms/{room_id}/state/{kind}/"


# -- before a room is joined --------------------------------------------------------------------

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


def test_children_in_the_order_to_show(scene: Scene, answers: dict[Place, Any]) -> None:
    def child(room_id: Any, content: Any, sent: Any = 5) -> Any:
        event = {"type": "m.space.child", "state_key": room_id, "content": content}
        return event | {"origin_server_ts": sent}

    via = {"via": ["localhost", 7, ""]}
    events = [
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
    answers["GET", "/_matrix/client/v1/rooms/!space/hierarchy"] = {
        "rooms": [
            {"room_id": "!space", "children_state": events},
            {"children_state": events},
            {"room_id": "!x", "children_state": 7},
        ],
        "next_batch": "more",
    }
    found = scene.call("space_hierarchy", space_id="!space", since="page", limit=5)
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


# -- rooms that replace each other --------------------------------------------------------------


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


# -- m.direct -----------------------------------------------------------------------------------

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


@pytest.mark.parametrize("content", [[], "rooms", None, 7, {BOB: "!old"}, {BOB: [None, {}]}])
def test_a_malformed_m_direct(scene: Scene, answers: dict[Place, Any], content: Any) -> None:
    had = keep_direct(answers, content)
    assert scene.call("direct_rooms") == {"rooms": []}
    scene.call("remove_direct_room", room_id="!old")
    assert len(had) == 1
    scene.call("add_direct_room", user_id=BOB, room_id="!room")
    assert had[-1] == {BOB: ["!room"]}
    assert scene.call("direct_rooms") == {"rooms": [{"user_id": BOB, "room_ids": ["!room"]}]}


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


def member(user_id: str, membership: str = "join") -> dict[str, Any]:
    content = {"membership": membership}
    return {"type": "m.room.member", "state_key": user_id, "content": content, "sender": user_id}


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
