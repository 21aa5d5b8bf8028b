"""Verifications that nobody asked for, in any number; no network."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from libmatrix.crypto.verification import contents
from libmatrix.crypto.verification.admission import Admission
from libmatrix.crypto.verification.contents import Party as Peer
from libmatrix.crypto.verification.early import Answer, Early
from libmatrix.events.head import read_timeline_event
from tests.support.parties import ALICE, BOB, MALLORY, ROOM, Party, acquaint


@pytest.fixture
def bob() -> Party:
    return Party(BOB)


def message(kind: str, number: Any, sender: str = MALLORY, **more: Any) -> dict[str, Any]:
    """A message of a verification that there is not, from a device of its own each."""
    content = {
        "transaction_id": f"t{number}",
        "from_device": f"D{number}",
        "methods": [contents.SAS],
        "timestamp": time.time_ns() // 1_000_000,
        **more,
    }
    return {"type": f"m.key.verification.{kind}", "sender": sender, "content": content}


START = {
    "method": contents.SAS,
    "key_agreement_protocols": [contents.AGREEMENT],
    "hashes": [contents.HASH],
    "message_authentication_codes": [contents.MAC_METHOD],
    "short_authentication_string": ["decimal", "emoji"],
}


def sent(party: Party, kind: str) -> int:
    """How many messages of a kind went out."""
    return sum(f"m.key.verification.{kind}" in path for path, _ in party.api.asked)


def going_on(party: Party, user_id: str) -> int:
    flows = party.crypto.verifications.all()
    return sum(flow.user_id == user_id and not flow.is_over for flow in flows)


def flood(bob: Party, kind: str, count: int, sender: str = MALLORY, **more: Any) -> None:
    bob.take(*(message(kind, f"{sender}{number}", sender, **more) for number in range(count)))
    # What is sent has its turn.
    for _ in range(count):
        bob.take()


def test_a_flood_of_answers_to_nothing_is_not_answered(bob: Party, mallory: Party) -> None:
    flood(bob, "ready", 100)
    assert sent(bob, "cancel") == 20
    # It costs nobody else an answer.
    bob.take(message("ready", "a", ALICE))
    bob.take()
    assert sent(bob, "cancel") == 21


@pytest.mark.parametrize("kind, more", [("request", {}), ("start", START)])
def test_a_flood_of_requests_is_ignored(
    bob: Party, mallory: Party, kind: str, more: dict[str, Any]
) -> None:
    asked = len(bob.api.asked)
    known = {f"D{MALLORY}{n}": Party(MALLORY, f"D{MALLORY}{n}") for n in range(30)}
    keys = {name: party.crypto.account.device_keys() for name, party in known.items()}
    bob.api.answers["keys/query"] = {"device_keys": {MALLORY: keys}}
    flood(bob, kind, 30, **more)
    assert going_on(bob, MALLORY) == 10
    assert len(bob.api.asked) - asked < 50
    # Somebody else can ask.
    acquaint(bob, Party(ALICE, "DA"))
    bob.take(message(kind, "A", ALICE, **more))
    assert going_on(bob, ALICE) == 1


def test_a_device_that_asks_again_and_again_is_not_answered_each_time(
    bob: Party, mallory: Party
) -> None:
    bob.take(*(message("request", number, from_device="D") for number in range(100)))
    for _ in range(100):
        bob.take()
    assert 0 < sent(bob, "cancel") <= 20
    assert len(bob.crypto.verifications.all()) <= 20


def test_requests_in_rooms_count_as_well(bob: Party, mallory: Party) -> None:
    known = {f"D{n}": Party(MALLORY, f"D{n}").crypto.account.device_keys() for n in range(30)}
    bob.api.answers["keys/query"] = {"device_keys": {MALLORY: known}}

    async def take() -> None:
        for number in range(30):
            event = {
                "type": "m.room.message",
                "sender": MALLORY,
                "event_id": f"$e{number}",
                "origin_server_ts": time.time_ns() // 1_000_000,
                "content": contents.room_request(Peer(MALLORY, f"D{number}"), BOB, [contents.SAS]),
            }
            head = read_timeline_event(json.dumps(event).encode())
            bob.crypto.verifications.take_room_event(ROOM, head)

    bob.run(take())
    assert going_on(bob, MALLORY) == 10


def test_old_requests_use_nothing_up(bob: Party, mallory: Party) -> None:
    """They may have waited at the homeserver for days, all of them."""
    bob.take(*(message("request", f"old{number}", timestamp=1) for number in range(50)))
    bob.take(message("request", "new", from_device="D"))
    assert going_on(bob, MALLORY) == 1


def test_answers_without_end_within_one_verification_end_it(bob: Party, mallory: Party) -> None:
    bob.api.answers["keys/query"] = {
        "device_keys": {MALLORY: {"D": mallory.crypto.account.device_keys()}}
    }
    flow = bob.run(bob.crypto.verifications.request(MALLORY, "D", None, [contents.SAS]))
    ready = {"transaction_id": flow.id}
    bob.take(message("ready", 0, from_device="D", **ready))
    assert flow.state == "ready"
    bob.take(*(message("ready", number, **ready) for number in range(1_000)))
    for _ in range(300):
        bob.take()
    assert flow.is_over and sent(bob, "cancel") <= 201


def test_early_answers_are_those_of_who_was_asked(bob: Party) -> None:
    early = Early()
    with early.asking(ROOM, ALICE):
        for number in range(100):
            early.keep(Answer(ROOM, MALLORY, contents.READY, {"number": number}))
        early.keep(Answer(ROOM, ALICE, contents.READY, {}))
        early.keep(Answer("!other:x", ALICE, contents.READY, {}))
        assert early.drain() == [Answer(ROOM, ALICE, contents.READY, {})]
    early.keep(Answer(ROOM, ALICE, contents.READY, {}))
    assert early.drain() == []


def test_the_rate_recovers_and_its_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libmatrix.crypto.verification.admission._MOST_USERS", 10)
    clock = [0.0]
    lines: list[str] = []
    admission = Admission(lambda: clock[0], lambda _: False, lines.append)
    assert [admission.allows(ALICE) for _ in range(25)] == 20 * [True] + 5 * [False]
    assert len(lines) == 5
    clock[0] += 9.0
    assert not admission.allows(ALICE) and admission.allows(BOB)
    clock[0] += 1.0
    assert admission.allows(ALICE) and not admission.allows(ALICE)
    clock[0] += 3600.0
    assert [admission.allows(ALICE) for _ in range(25)] == 20 * [True] + 5 * [False]
    for number in range(100):
        assert admission.allows(f"@s{number}:evil")
    assert len(admission._left) == 10
