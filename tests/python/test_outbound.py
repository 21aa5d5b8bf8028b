"""A room's session: when it is made anew, and who gets it; no network."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from libmatrix.crypto import outbound
from libmatrix.errors import EncryptionError
from libmatrix.rooms.room import RoomState
from tests.support.parties import ROOM, Party

ALICE, BOB, CAROL = "@alice:x", "@bob:x", "@carol:x"
MEGOLM = "m.megolm.v1.aes-sha2"


def put_state(party: Party, kind: str, key: str, content: dict[str, Any]) -> None:
    event = {"type": kind, "state_key": key, "sender": ALICE, "content": content}
    with party.state.disk.transaction() as writer:
        writer.states([(ROOM, kind, key, json.dumps(event).encode())])


def put_members(party: Party, **memberships: str) -> None:
    """Who is in the room: `bob="join"`."""
    events = {}
    for name, membership in memberships.items():
        user = f"@{name}:x"
        event = {"type": "m.room.member", "state_key": user, "content": {"membership": membership}}
        events[user] = Raw(json.dumps(event).encode())
    party.state.keep_members(ROOM, events)


@pytest.fixture
def alice() -> Party:
    party = Party(ALICE)
    party.api.answers["keys/query"] = {}
    party.api.answers["keys/upload"] = {"one_time_key_counts": {"signed_curve25519": 50}}
    party.state.rooms[ROOM] = RoomState(room_id=ROOM, is_encrypted=True)
    put_state(party, "m.room.encryption", "", {"algorithm": MEGOLM})
    put_members(party, alice="join", bob="join")
    return party


@pytest.fixture
def bob(alice: Party) -> Party:
    party = Party(BOB)
    alice.knows(party)
    party.knows(alice)
    alice.meet(party)
    return party


def send(party: Party, body: str = "hi", kind: str = "m.room.message") -> dict[str, Any]:
    content = {"msgtype": "m.text", "body": body}
    found: dict[str, Any] = party.run(party.crypto.encrypt_event(ROOM, kind, content))[1]
    return found


def sent(party: Party, kind: str) -> list[tuple[str, str]]:
    """Users and devices that were sent events of a type."""
    found = []
    for path, body in party.api.asked:
        if f"/sendToDevice/{kind}/" in path:
            messages = body["messages"]
            found += [(user, device) for user in messages for device in messages[user]]
    return found


def test_a_key_is_sent_once(alice: Party, bob: Party) -> None:
    used = {send(alice)["session_id"] for _ in range(5)}
    assert len(used) == 1 and sent(alice, "m.room.encrypted") == [(BOB, "D")]
    # Another machine on the same store goes on with it, and sends nothing again.
    again = Party(ALICE, state=alice.state)
    again.knows(bob)
    assert send(again)["session_id"] in used
    assert sent(again, "m.room.encrypted") == []


def test_indices_go_on_after_a_crash(alice: Party, bob: Party) -> None:
    from vodozemac import MegolmMessage

    indices = []
    for _ in range(3):
        # Nothing but what was written is there for the next.
        party = Party(ALICE, state=alice.state)
        party.knows(bob)
        party.api.answers = alice.api.answers
        if not indices:
            party.meet(bob)
        indices += [MegolmMessage.from_base64(send(party)["ciphertext"]).message_index()]
    assert indices == [0, 1, 2]


def test_a_session_lasts_as_the_room_says(
    alice: Party, bob: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = outbound._now_ms()
    monkeypatch.setattr(outbound, "_now_ms", lambda: now)
    settings = {"algorithm": MEGOLM, "rotation_period_ms": 7_200_000, "rotation_period_msgs": 3}
    put_state(alice, "m.room.encryption", "", settings)
    used = [send(alice)["session_id"] for _ in range(4)]
    assert used[0] == used[2] != used[3]
    monkeypatch.setattr(outbound, "_now_ms", lambda: now + 7_199_999)
    assert send(alice)["session_id"] == used[3]
    monkeypatch.setattr(outbound, "_now_ms", lambda: now + 7_200_000)
    later = send(alice)["session_id"]
    assert later != used[3]
    # A clock that was set back says nothing of an age.
    monkeypatch.setattr(outbound, "_now_ms", lambda: now)
    assert send(alice)["session_id"] != later


@pytest.mark.parametrize("value", ["x", 0, -1, None, [], 10**30])
def test_settings_without_sense_are_the_defaults(alice: Party, bob: Party, value: Any) -> None:
    settings = {"algorithm": MEGOLM, "rotation_period_msgs": value, "rotation_period_ms": value}
    put_state(alice, "m.room.encryption", "", settings)
    period_ms, count = alice.run(alice.crypto.outbound.settings(ROOM))
    assert period_ms >= 3_600_000 and 1 <= count <= 10_000


def test_another_algorithm_is_not_sent_to(alice: Party, bob: Party) -> None:
    send(alice)
    put_state(alice, "m.room.encryption", "", {"algorithm": "m.future"})
    with pytest.raises(EncryptionError):
        send(alice)
    # Taken back by whoever can: it is encrypted as it was.
    put_state(alice, "m.room.encryption", "", {})
    send(alice)


def test_who_may_not_read_on_ends_it(alice: Party, bob: Party) -> None:
    carol = Party(CAROL)
    alice.knows(carol)
    alice.meet(carol)
    first = send(alice)["session_id"]
    put_members(alice, alice="join", bob="join", carol="join")
    assert send(alice)["session_id"] == first, "who comes gets the key from there on"
    assert sent(alice, "m.room.encrypted") == [(BOB, "D"), (CAROL, "D")]
    put_members(alice, alice="join", bob="join", carol="leave")
    second = send(alice)["session_id"]
    assert second != first
    device = bob.device()
    device.is_blocked = True
    alice.crypto.devices.put(device)
    third = send(alice)["session_id"]
    assert third != second
    assert sent(alice, "m.room_key.withheld") == [(BOB, "D")]
    send(alice)
    assert sent(alice, "m.room_key.withheld") == [(BOB, "D")], "said once"


@pytest.mark.parametrize(
    ("visibility", "gets_it"),
    [("shared", True), ("invited", True), ("world_readable", True), ("joined", False)],
)
def test_the_invited_get_keys_when_they_may_read(
    alice: Party, bob: Party, visibility: str, gets_it: bool
) -> None:
    alice.state.rooms[ROOM].history_visibility = visibility
    put_members(alice, alice="join", bob="invite")
    send(alice)
    assert bool(sent(alice, "m.room.encrypted")) == gets_it


def test_who_cannot_be_reached_is_told_and_tried_again(alice: Party) -> None:
    bob = Party(BOB)
    alice.knows(bob)
    send(alice)
    assert sent(alice, "m.room_key.withheld") == [(BOB, "D")]
    [body] = [body for path, body in alice.api.asked if "withheld" in path]
    told = body["messages"][BOB]["D"]
    assert told["code"] == "m.no_olm" and "session_id" not in told
    alice.meet(bob)
    send(alice)
    assert sent(alice, "m.room.encrypted") == [(BOB, "D")]


def test_a_reaction_is_not_encrypted(alice: Party, bob: Party) -> None:
    assert send(alice, "x", "m.reaction")["body"] == "x"
    assert sent(alice, "m.room.encrypted") == []
