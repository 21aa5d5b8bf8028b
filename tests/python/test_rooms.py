"""What syncs make of rooms, and when a message may go to one in clear."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libmatrix.rooms.room import RoomState
from libmatrix.table_gen import Room
from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, ScriptedServer
from tests.support.sync_script import (
    ME,
    SESSION,
    Homeserver,
    answer,
    joined,
    member,
    message,
    rooms,
    state,
)

NAMED = [
    state("m.room.name", name="Tea"),
    state("m.room.topic", topic="old", **{"m.topic": {"m.text": [{"body": "Green"}]}}),
    state("m.room.canonical_alias", alias="#tea:x"),
    state("m.room.avatar", url="mxc://x/1"),
    member(ME), member("@a:x"), member("@b:x", "invite"), member("@c:x", "ban"),
]  # fmt: skip
JOIN = {
    "!named:x": joined(
        states=NAMED, unread_notifications={"notification_count": 4, "highlight_count": 2}
    ),
    "!dm:x": joined(
        member("@a:x", name="Alice"),
        states=[member(ME)],
        summary={
            "m.heroes": ["@a:x"], "m.joined_member_count": 2, "m.invited_member_count": 0
        },
    ),
    "!v12hash": joined(states=[member(ME), member("@b:x", "leave", "Bob")]),
}  # fmt: skip
INVITE = [
    member(ME, "invite"),
    member("@a:x", name="Alice"),
    state("m.room.encryption", algorithm="m.megolm.v1.aes-sha2"),
]
EVERYTHING = {
    **answer(
        "s1",
        join=JOIN,
        invite={"!i:x": {"invite_state": {"events": INVITE}}},
        knock={"!k:x": {"knock_state": {"events": [state("m.room.name", name="Door")]}}},
        leave={"!l:x": joined(member(ME, "leave")), "!ban:x": joined(member(ME, "ban"))},
    ),
    "account_data": {
        "events": [{"type": "m.direct", "content": {"@a:x": ["!dm:x", 5], "@b:x": "odd"}}]
    },
}


def test_rooms_are_what_the_events_say(host: RuntimeHost) -> None:
    with ScriptedServer(Homeserver(EVERYTHING)) as server:
        client = host.client(server.url, **SESSION)
        host.call(client, "sync_once")
        found = rooms(host, client)
    assert list(found) == sorted(found)
    assert found["!named:x"] == {
        "room_id": "!named:x", "name": "Tea", "canonical_alias": "#tea:x", "topic": "Green",
        "avatar_url": "mxc://x/1", "membership": "join", "joined_member_count": 2,
        "invited_member_count": 1, "notification_count": 4, "highlight_count": 2,
        "is_direct": False, "is_encrypted": False, "is_marked_unread": False,
    }  # fmt: skip
    assert found["!dm:x"]["name"] == "Alice" and found["!dm:x"]["is_direct"]
    assert found["!dm:x"]["joined_member_count"] == 2
    assert found["!v12hash"]["name"] == "Empty room (was Bob)"
    assert found["!i:x"]["name"] == "Alice" and found["!i:x"]["is_encrypted"]
    assert found["!k:x"]["name"] == "Door"


def test_rooms_end_where_they_belong(host: RuntimeHost) -> None:
    with ScriptedServer(Homeserver(EVERYTHING)) as server:
        client = host.client(server.url, **SESSION)
        result = host.call(client, "sync_once")
        found = rooms(host, client)
        only = host.call(client, "rooms", membership="invite")["rooms"]
    assert result["invited_room_ids"] == ["!i:x"]
    assert sorted(result["left_room_ids"]) == ["!ban:x", "!l:x"]
    assert {room_id: room["membership"] for room_id, room in found.items()} == {
        "!named:x": "join", "!dm:x": "join", "!v12hash": "join", "!i:x": "invite",
        "!k:x": "knock", "!l:x": "leave", "!ban:x": "ban",
    }  # fmt: skip
    assert [room["room_id"] for room in only] == ["!i:x"]


def test_names_follow_what_changes(host: RuntimeHost, tmp_path: Path) -> None:
    steps = [
        (joined(states=[member(ME), member("@a:x", name="Alice")]), "Alice"),
        (joined(member("@b:x", name="Bob")), "Alice and Bob"),
        (joined(state("m.room.name", name="Tea")), "Tea"),
        (joined(message("nothing new")), "Tea"),
        (joined(state("m.room.name", name=7)), "Alice and Bob"),
        (joined(member("@a:x", "leave")), "Bob"),
        (joined(state("m.room.canonical_alias", alias="#t:x")), "#t:x"),
        (joined(state("m.room.canonical_alias")), "Bob"),
        (joined(member("@b:x", "leave", "Bob")), "Empty room (was @a:x and Bob)"),
    ]
    script = Homeserver(
        *(answer(f"s{n}", join={"!r:x": room}) for n, (room, _) in enumerate(steps))
    )
    with ScriptedServer(script) as server:
        client = 0
        for _, name in steps:
            # Each step from the store, as if the process had been restarted.
            host.send("close_client", client)
            client = host.client(server.url, store_path=str(tmp_path), **SESSION)
            host.call(client, "sync_once")
            assert rooms(host, client)["!r:x"]["name"] == name


def test_an_invite_that_was_taken_back_and_one_accepted(host: RuntimeHost) -> None:
    fake = {"invite_state": {"events": [state("m.room.name", name="Fake"), member(ME, "invite")]}}
    script = Homeserver(
        answer("s1", invite={"!gone:x": fake, "!in:x": fake}),
        answer(
            "s2",
            leave={"!gone:x": joined(member(ME, "leave"))},
            join={"!in:x": joined(states=[member(ME), member("@a:x", name="Alice")])},
        ),
    )
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        host.call(client, "sync_once")
        host.call(client, "sync_once")
        found = rooms(host, client)
        assert found["!gone:x"]["membership"] == "leave"
        # What the invite claimed does not outlive it.
        assert (found["!in:x"]["membership"], found["!in:x"]["name"]) == ("join", "Alice")


def test_a_malformed_encryption_event_still_closes_the_room(host: RuntimeHost) -> None:
    event = state("m.room.encryption", rotation_period_ms=10**30)
    script = Homeserver(answer("s1", join={"!r:x": joined(states=[event])}))
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        host.call(client, "sync_once")
        error = host.refuse(client, "send_text", room_id="!r:x", body="hi")
        assert error["code"] == "E_ENCRYPTION_UNSUPPORTED" and not script.sent


def test_a_room_nobody_synced_is_asked_about(host: RuntimeHost) -> None:
    script = Homeserver()
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        assert host.call(client, "send_text", room_id="!n:x", body="hi")["event_id"] == "$sent"
        script.encryption = Answer({"algorithm": "m.megolm.v1.aes-sha2"})
        for _ in range(2):
            error = host.refuse(client, "send_text", room_id="!e:x", body="hi")
            assert error["code"] == "E_ENCRYPTION_UNSUPPORTED"
            # Once is for ever.
            script.encryption = Answer({"errcode": "M_NOT_FOUND", "error": "no"}, 404)
        for status, code in ((404, "M_UNRECOGNIZED"), (403, "M_FORBIDDEN")):
            script.encryption = Answer({"errcode": code, "error": "no"}, status)
            assert host.refuse(client, "send_text", room_id="!n:x", body="hi")["code"] == code
        script.encryption = Answer(b"<html>", 404)
        error = host.refuse(client, "send_text", room_id="!n:x", body="hi")
        assert error["code"] == "E_INVALID_RESPONSE"
        assert len(script.sent) == 1
        # A homeserver that is out of order is asked until it says something.
        script.encryption = Answer({"errcode": "M_UNKNOWN", "error": "no"}, 500)
        request = host.submit(client, "send_text", room_id="!n:x", body="hi")
        host.until(lambda: any("came to nothing" in log["message"] for log in host.logs))
        assert len(script.sent) == 1
        script.encryption = Answer({"errcode": "M_NOT_FOUND", "error": "no"}, 404)
        assert host.wait(request).is_ok and len(script.sent) == 2


def test_a_filter_of_ones_own_makes_state_doubtful(host: RuntimeHost) -> None:
    script = Homeserver(
        answer("s1", join={"!r:x": joined()}), answer("s2", join={"!r:x": joined()}), answer("s3")
    )
    with ScriptedServer(script) as server:
        client = host.client(server.url, **SESSION)
        host.call(client, "sync_once")
        host.call(client, "send_text", room_id="!r:x", body="known to be clear")
        assert not [r for r in server.requests if "/state/" in r.path]
        host.call(client, "sync_once", filter={"room": {"state": {"types": []}}})
        assert json.loads(script.asked[1]["filter"]) == {"room": {"state": {"types": []}}}
        script.encryption = Answer({"algorithm": "m.megolm.v1.aes-sha2"})
        error = host.refuse(client, "send_text", room_id="!r:x", body="hi")
        assert error["code"] == "E_ENCRYPTION_UNSUPPORTED"
        assert rooms(host, client)["!r:x"]["is_encrypted"]
        host.call(client, "sync_once", filter="7", timeout_ms=10, set_presence="offline")
        assert script.asked[2]["filter"] == "7"
        assert script.asked[2]["timeout"] == "10" and script.asked[2]["set_presence"] == "offline"


@pytest.mark.parametrize("tags", [None, {"u.work": {"order": 0.5}}])
def test_a_room_made_by_position_has_its_fields(tags: dict[str, Any] | None) -> None:
    """Each field of the list comes out under its own name, and absent ones do not."""
    texts = ("canonical_alias", "topic", "avatar_url", "version", "room_type")
    known = {name: f"its {name}" for name in (*texts, "predecessor", "successor")} if tags else {}
    room = RoomState(
        room_id="!room", shown_name="Tea", membership="knock", joined_count=4, counted_invited=3,
        notification_count=2, highlight_count=1, is_marked_unread=True, tags=tags, **known,
    )  # fmt: skip
    found = json.loads(msgspec.json.encode(room.record(is_direct=True)))
    expected = {
        "room_id": "!room", "name": "Tea", "membership": "knock", "joined_member_count": 4,
        "invited_member_count": 3, "notification_count": 2, "highlight_count": 1,
        "is_direct": True, "is_encrypted": False, "is_marked_unread": True,
    }  # fmt: skip
    if tags:
        expected |= {name: f"its {name}" for name in texts} | {"tags": tags}
        expected |= {f"{name}_room_id": f"its {name}" for name in ("predecessor", "successor")}
        assert found.keys() == set(Room.__struct_fields__)
    assert found == expected
    assert found.keys() <= set(Room.__struct_fields__)
