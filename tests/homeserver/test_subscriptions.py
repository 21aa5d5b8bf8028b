"""Every kind of event, from Lua against a real homeserver."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.driver import driver
from tests.support.homeserver import Account, Homeserver
from tests.support.rooms import V3, post, put_state, shared_room, text

pytestmark = pytest.mark.homeserver


def relates(kind: str, event_id: str, **more: Any) -> dict[str, Any]:
    return {"m.relates_to": {"rel_type": kind, "event_id": event_id, **more}}


def relate(homeserver: Homeserver, alice: Account, room_id: str) -> tuple[str, str, str]:
    """Says something of each kind about a message; its id, and those of the odd one and a like."""

    def say(content: dict[str, Any]) -> str:
        return homeserver.send(alice, room_id, "m.room.message", content)

    root = say(text("root"))
    say(text("* fixed", **{"m.new_content": text("fixed")}, **relates("m.replace", root)))
    say(text("answer", **{"m.relates_to": {"m.in_reply_to": {"event_id": root}}}))
    fallback = {"is_falling_back": True, "m.in_reply_to": {"event_id": root}}
    say(text("in thread", **relates("m.thread", root, **fallback)))
    inner = {"is_falling_back": False, "m.in_reply_to": {"event_id": root}}
    say(text("reply in thread", **relates("m.thread", root, **inner)))
    odd = say(text("odd", **{"m.relates_to": {"rel_type": 7, "m.in_reply_to": []}}))
    reaction = relates("m.annotation", root, key="👍")
    liked = homeserver.send(alice, room_id, "m.reaction", reaction)
    path = f"{V3}/rooms/{quote(room_id)}/redact/{quote(odd)}/1"
    homeserver.request("PUT", path, alice.token, {"reason": "odd"})
    return root, odd, liked


def test_relations_are_fields(homeserver: Homeserver, stage: Path) -> None:
    alice, bob = homeserver.account(), homeserver.account()
    room_id = shared_room(homeserver, alice, bob)
    with driver(stage, homeserver, bob) as host:
        host.hear("message", "{ not_own = true }")
        host.hear("reaction")
        host.hear("redaction")
        host.hear("any", "{ type = 'm.reaction' }", "only reactions")
        host.hear("message", "{ msgtype = 'm.image' }", "images")
        host.sync()
        assert not host.events

        root, odd, liked = relate(homeserver, alice, room_id)
        redaction = host.sync_until("redaction")[0]
        assert redaction["redacts"] == odd
        (reacted,) = host.take("reaction")
        assert (reacted["reaction_key"], reacted["relates_to"]) == ("👍", root)
        assert reacted["event_id"] == liked and reacted["kind"] == "reaction"
        (same,) = host.take("only reactions")
        assert same == {**reacted, "kind": "any"}
        by_body = {event.get("body"): event for event in host.take("message")}
        assert not host.take("images")
        edit = by_body["* fixed"]
        found = (edit["replaces"], edit["new_body"], edit["rel_type"])
        assert found == (root, "fixed", "m.replace")
        assert by_body["answer"]["reply_to"] == root and "thread_id" not in by_body["answer"]
        thread = by_body["in thread"]
        assert thread["thread_id"] == root and "reply_to" not in thread
        assert by_body["reply in thread"]["reply_to"] == root
        # Redacted before it came: no text is left, and it says so.
        (gone,) = [event for event in by_body.values() if event["event_id"] == odd]
        assert gone["is_redacted"] and "body" not in gone
        root_event = by_body["root"]
        assert not root_event["is_historic"] and not root_event["is_filled"]
        assert root_event["raw"]["event_id"] == root


def test_state_and_members(homeserver: Homeserver, stage: Path) -> None:
    alice, bob = homeserver.account(), homeserver.account()
    room_id = shared_room(homeserver, alice, bob, name="Tea")
    with driver(stage, homeserver, bob) as host:
        host.hear("state", "{ type = 'm.room.name' }")
        host.hear("membership", "{ not_own = true }")
        host.hear("room")
        host.sync()
        (name,) = host.take("state")
        assert name["is_historic"] and name["content"] == {"name": "Tea"}
        change = host.take("room")[0]
        assert {"name", "membership", "joined_member_count"} <= set(change["changed"])
        host.take("membership")

        put_state(homeserver, alice, room_id, "m.room.name", {"name": "Green tea"})
        put_state(homeserver, alice, room_id, "m.room.topic", {"topic": "leaves"})
        post(homeserver, alice, room_id, "leave", reason="enough")
        (left,) = host.sync_until("membership")
        assert (left["membership"], left["state_key"]) == ("leave", alice.user_id)
        assert left["prev_content"]["membership"] == "join"
        (name,) = host.take("state")
        assert (name["state_key"], name["prev_content"]) == ("", {"name": "Tea"})
        assert not name["is_historic"]
        changes = host.take("room")
        changed = {field for change in changes for field in change["changed"]}
        assert {"name", "topic", "joined_member_count"} <= changed
        last = changes[-1]["room"]
        assert (last["name"], last["topic"]) == ("Green tea", "leaves")


def test_receipts_typing_and_presence(homeserver: Homeserver, stage: Path) -> None:
    alice, bob = homeserver.account(), homeserver.account()
    room_id = shared_room(homeserver, alice, bob)
    with driver(stage, homeserver, bob) as host:
        host.sync()
        for kind in ("receipt", "typing", "presence"):
            host.hear(kind)
        event_id = homeserver.send(bob, room_id, "m.room.message", text("hi"))
        post(homeserver, alice, room_id, f"receipt/m.read/{quote(event_id)}")
        (receipt,) = host.sync_until("receipt")
        assert (receipt["event_id"], receipt["user_id"]) == (event_id, alice.user_id)
        assert receipt["type"] == "m.read" and not receipt["is_own"]
        path = f"{V3}/rooms/{quote(room_id)}/typing/{quote(alice.user_id)}"
        homeserver.request("PUT", path, alice.token, {"typing": True, "timeout": 30000})
        assert host.sync_until("typing")[0]["user_ids"] == [alice.user_id]
        path = f"{V3}/presence/{quote(alice.user_id)}/status"
        said = {"presence": "unavailable", "status_msg": "tea"}
        homeserver.request("PUT", path, alice.token, said)
        host.sync_until("presence", wanted=lambda event: event.get("status_msg") == "tea")


def test_account_data_and_messages_to_devices(homeserver: Homeserver, stage: Path) -> None:
    alice, bob = homeserver.account(), homeserver.account()
    room_id = shared_room(homeserver, alice, bob)
    with driver(stage, homeserver, bob) as host:
        host.sync()
        for kind in ("account_data", "room_account_data", "room"):
            host.hear(kind)
        host.hear("to_device", "{ type = 'org.example.note' }")
        host.get("client:set_account_data('org.example.a', { n = 1 })")
        host.sync_until("account_data", wanted=lambda event: event["type"] == "org.example.a")
        host.take("room")
        tags = "{ tags = { ['m.favourite'] = { order = 0.5 } } }"
        host.get("client:set_account_data('m.tag', " + tags + ", { room_id = %s })", room_id)
        (data,) = host.sync_until("room_account_data")
        assert (data["type"], data["room_id"]) == ("m.tag", room_id)
        (change,) = host.sync_until("room")
        assert change["changed"] == ["tags"]
        assert change["room"]["tags"] == {"m.favourite": {"order": 0.5}}
        path = f"{V3}/sendToDevice/org.example.note/{secrets.token_hex(4)}"
        messages = {bob.user_id: {bob.device_id: {"n": 1}}}
        homeserver.request("PUT", path, alice.token, {"messages": messages})
        (note,) = host.sync_until("to_device")
        assert (note["sender"], note["content"]) == (alice.user_id, {"n": 1})
        path = f"{V3}/user/{quote(bob.user_id)}/account_data/m.direct"
        homeserver.request("PUT", path, bob.token, {alice.user_id: [room_id]})
        (change,) = host.sync_until("room")
        assert change["changed"] == ["is_direct"] and change["room"]["is_direct"]


def test_invites_and_own_words(homeserver: Homeserver, stage: Path) -> None:
    alice, bob = homeserver.account(), homeserver.account()
    with driver(stage, homeserver, bob) as host:
        host.sync()
        host.hear("invite")
        host.hear("message")
        room_id = homeserver.create_room(alice, name="Den", invite=[bob.user_id], is_direct=True)
        homeserver.send(alice, room_id, "m.room.message", text("before you came"))
        (invite,) = host.sync_until("invite")
        assert (invite["sender"], invite["is_direct"]) == (alice.user_id, True)
        assert (invite["room"]["name"], invite["room"]["membership"]) == ("Den", "invite")
        assert any(event["type"] == "m.room.name" for event in invite["state"])
        host.get("client:join_room(%s)", room_id)
        sent = host.get("client:send_text(%s, 'mine', { txn_id = 'my own id' })", room_id)
        heard = host.sync_until("message", wanted=lambda event: event.get("body") == "mine")
        events = {event["body"]: event for event in heard}
        mine = events["mine"]
        assert (mine["event_id"], mine["txn_id"]) == (sent["event_id"], "my own id")
        assert mine["is_own"] and not mine["is_historic"]
        before = events.get("before you came")
        assert before is None or before["is_historic"]


def test_gaps_are_filled(homeserver: Homeserver, stage: Path) -> None:
    alice, bob = homeserver.account(), homeserver.account()
    room_id = shared_room(homeserver, alice, bob)
    with driver(stage, homeserver, bob) as host:
        host.sync()
        host.hear("message", "{ fill_gaps = true }", "all")
        host.hear("message", name="some")
        host.hear("any", "{ fill_gaps = true, room_id = 'elsewhere' }", "elsewhere")
        for number in range(130):
            homeserver.send(alice, room_id, "m.room.message", text(str(number)))
        events = host.sync_until("all", 130)
        assert [event["body"] for event in events] == [str(number) for number in range(130)]
        filled = [event["is_filled"] for event in events]
        assert filled == sorted(filled, reverse=True) and 0 < filled.count(False) < 130
        assert len(host.take("some")) == filled.count(False)
        assert not host.take("elsewhere")


def test_unsubscribe_inside_the_handler(homeserver: Homeserver, stage: Path) -> None:
    account = homeserver.account()
    room_id = homeserver.create_room(account)
    for number in range(5):
        homeserver.send(account, room_id, "m.room.message", text(str(number)))
    with driver(stage, homeserver, account) as host:
        host.do("tools.hear_once('once', 'message')")
        host.hear("message")
        host.sync()
        assert len(host.take("once")) == 1
        assert [event["body"] for event in host.take("message")] == list("01234")


POISON = ["9" * 30, '{"a":' * 80 + "1" + "}" * 80]


@pytest.mark.parametrize("poison", POISON, ids=["long number", "deep"])
def test_poison_of_another_user(homeserver: Homeserver, stage: Path, poison: str) -> None:
    """A stock homeserver passes it on to a device; the rest of the sync arrives all the same."""
    alice, bob = homeserver.account(), homeserver.account()
    room_id = shared_room(homeserver, alice, bob)
    with driver(stage, homeserver, bob) as host:
        host.sync()
        host.hear("to_device")
        host.hear("message")
        send_poison(homeserver, alice, bob, poison)
        send_poison(homeserver, alice, bob, '"sound"')
        homeserver.send(alice, room_id, "m.room.message", text("after"))
        assert host.sync_until("message")[0]["body"] == "after"
        notes = [event["content"]["n"] for event in host.take("to_device")]
        assert notes == ["sound"]


def send_poison(server: Homeserver, sender: Account, target: Account, value: str) -> None:
    """By hand, because json would not write it."""
    import http.client
    from urllib.parse import urlsplit

    device = f'{{"{target.device_id}":{{"n":{value}}}}}'
    body = f'{{"messages":{{"{target.user_id}":{device}}}}}'
    path = f"{V3}/sendToDevice/org.example.poison/{secrets.token_hex(4)}"
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
    headers = {"Authorization": f"Bearer {sender.token}", "Content-Type": "application/json"}
    connection.request("PUT", path, body, headers)
    assert connection.getresponse().status == 200
    connection.close()
