"""Encrypted rooms of libmatrix and a foreign client, both ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.encrypted import Talker
from tests.support.foreign import ForeignClient
from tests.support.homeserver import Homeserver
from tests.support.runtime_host import RuntimeHost

pytestmark = pytest.mark.homeserver
Maker = Callable[..., ForeignClient]


def room_of(homeserver: Homeserver, host: Talker, guest: ForeignClient, **settings: object) -> str:
    """An encrypted room of the foreign client that both are in."""
    room_id = str(guest.create_room(invite=[host.user_id], settings=settings))
    homeserver.join(host.account, room_id)
    guest.wait_member(room_id=room_id, user_id=host.user_id)
    host.sync()
    return room_id


def meet(
    host: RuntimeHost, homeserver: Homeserver, foreign_client: Maker
) -> tuple[Talker, ForeignClient, str]:
    """A client of ours and a foreign one, of two users, in an encrypted room of the latter."""
    ours = Talker(host, homeserver, homeserver.account())
    ours.sync()
    theirs = foreign_client(homeserver.account())
    return ours, theirs, room_of(homeserver, ours, theirs)


def test_both_hear_each_other(
    host: RuntimeHost, homeserver: Homeserver, foreign_client: Maker
) -> None:
    ours, theirs, room_id = meet(host, homeserver, foreign_client)
    theirs.send(room_id=room_id, body="tea?")
    heard = ours.wait_message("tea?")["encryption"]
    assert (heard["sender"], heard["sender_device_id"]) == (theirs.user_id, theirs.device_id)
    assert (heard["shield"], heard["shield_reason"]) == ("red", "unsigned_device")
    event_id = ours.send(room_id, "please")
    got = theirs.wait_message(room_id=room_id, event_id=event_id)
    assert got["content"]["body"] == "please" and got["wire_type"] == "m.room.encrypted"
    assert (got["shield"], got["shield_reason"]) == ("RED", "UNSIGNED_DEVICE")
    # The other way round, in a room of ours.
    made = ours.call("create_room", encrypted=True, invite=[theirs.user_id])["room_id"]
    ours.sync()
    early = ours.send(made, "for the invited too")
    theirs.join(room_id=made)
    # The SDK has the key although it was sent before the join.
    assert theirs.wait_message(room_id=made, event_id=early)["content"]["body"]
    theirs.send(room_id=made, body="thanks")
    ours.wait_message("thanks")


def test_relations_are_in_clear(
    host: RuntimeHost, homeserver: Homeserver, foreign_client: Maker
) -> None:
    ours, theirs, room_id = meet(host, homeserver, foreign_client)
    root = ours.send(room_id, "root")
    theirs.wait_message(room_id=room_id, event_id=root)
    reply = ours.call("send_text", room_id=room_id, body="in thread", thread_id=root)["event_id"]
    got = theirs.wait_message(room_id=room_id, event_id=reply)
    assert got["wire_content"]["m.relates_to"]["event_id"] == root
    content = {
        "msgtype": "m.text",
        "body": "also",
        "m.relates_to": {"rel_type": "m.thread", "event_id": root},
    }
    theirs.send(room_id=room_id, content=content)
    assert ours.wait_message("also")["thread_id"] == root
    edit = {
        "msgtype": "m.text",
        "body": "* better",
        "m.new_content": {"msgtype": "m.text", "body": "better"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": root},
    }
    theirs.send(room_id=room_id, content=edit)
    heard = ours.wait_message("* better")
    assert (heard["replaces"], heard["new_body"]) == (root, "better")


def test_keys_change_as_the_room_says(
    host: RuntimeHost, homeserver: Homeserver, foreign_client: Maker
) -> None:
    ours = Talker(host, homeserver, homeserver.account())
    ours.sync()
    theirs = foreign_client(homeserver.account())
    room_id = room_of(homeserver, ours, theirs, rotation_period_msgs=2)
    used = []
    for number in range(4):
        event_id = ours.send(room_id, f"message {number}")
        got = theirs.wait_message(room_id=room_id, event_id=event_id)
        used.append(got["wire_content"]["session_id"])
    assert used[0] == used[1] != used[2] == used[3]
    for number in range(4):
        theirs.send(room_id=room_id, body=f"theirs {number}")
        ours.wait_message(f"theirs {number}")


def test_who_left_cannot_read_on(
    host: RuntimeHost, homeserver: Homeserver, foreign_client: Maker
) -> None:
    ours = Talker(host, homeserver, homeserver.account())
    ours.sync()
    theirs = foreign_client(homeserver.account())
    third = foreign_client(homeserver.account())
    room_id = room_of(homeserver, ours, theirs)
    theirs.invite(room_id=room_id, user_id=third.user_id)
    third.join(room_id=room_id)
    ours.sync()
    before = ours.send(room_id, "to all")
    first = third.wait_message(room_id=room_id, event_id=before)
    third.leave(room_id=room_id)
    theirs.wait_member(room_id=room_id, user_id=third.user_id, membership="leave")
    ours.sync()
    event_id = ours.send(room_id, "without them")
    second = theirs.wait_message(room_id=room_id, event_id=event_id)
    assert second["wire_content"]["session_id"] != first["wire_content"]["session_id"]
    # A device that is deleted counts as one that left.
    homeserver.request("POST", "/_matrix/client/v3/logout", third.account.token, {})


def test_withheld_keys_say_why(
    host: RuntimeHost, homeserver: Homeserver, foreign_client: Maker
) -> None:
    ours = Talker(host, homeserver, homeserver.account(), send_keys_to="cross_signed")
    ours.sync()
    theirs = foreign_client(homeserver.account())
    room_id = room_of(homeserver, ours, theirs)
    event_id = ours.send(room_id, "not for you")
    got = theirs.wait_message(room_id=room_id, event_id=event_id, failed=True)
    assert got["reason"] == "MEGOLM_KEY_WITHHELD_FOR_UNVERIFIED_DEVICE"
    theirs.bootstrap_cross_signing()
    theirs.isolate_devices(only_signed=True)
    theirs.send(room_id=room_id, body="nor for you")
    lost = ours.wait_event(
        lambda event: event["sender"] == theirs.user_id and "encryption" in event
    )
    assert lost["type"] == "m.room.encrypted"
    assert lost["encryption"]["code"] == "withheld"
    assert lost["encryption"]["withheld_code"] == "m.unverified"
    # Now that their device is signed, it gets keys; they must want to hear ours for that.
    theirs.isolate_devices(only_signed=False)
    ours.sync()
    event_id = ours.send(room_id, "now for you")
    theirs.wait_message(room_id=room_id, event_id=event_id)


def test_many_devices_and_a_restart(
    homeserver: Homeserver, foreign_client: Maker, tmp_path: Path
) -> None:
    account, other = homeserver.account(), homeserver.account()
    theirs = foreign_client(other)
    second = foreign_client(homeserver.login(other.user, other.password))
    room_id = ""
    for number in range(2):
        with RuntimeHost() as host:
            ours = Talker(host, homeserver, account, tmp_path / "store")
            ours.sync()
            room_id = room_id or room_of(homeserver, ours, theirs)
            event_id = ours.send(room_id, f"run {number}")
            for each in (theirs, second):
                got = each.wait_message(room_id=room_id, event_id=event_id)
                assert got["content"]["body"] == f"run {number}"
            theirs.send(room_id=room_id, body=f"answer {number}")
            ours.wait_message(f"answer {number}")
