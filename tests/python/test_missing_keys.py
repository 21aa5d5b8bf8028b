"""Requests for keys that are not there, reasons for that, and what is hidden; no network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Raw
from vodozemac import GroupSession

from libmatrix.crypto.key_file import read_key_file
from libmatrix.crypto.key_transfer import export_keys
from libmatrix.crypto.trust_levels import Policy
from tests.support.parties import (
    ALICE,
    BOB,
    MALLORY,
    ROOM,
    Party,
    acquaint,
    again,
    limit,
    megolm_event,
)


@pytest.fixture
def bob() -> Party:
    return Party(BOB)


# -- requests for keys ----------------------------------------------------------------------------


@pytest.fixture
def second(bob: Party) -> Iterator[Party]:
    """Another device of Bob's, verified."""
    second = Party(BOB, "SECOND")
    bob.knows(second)
    device = second.device()
    device.is_verified = True
    bob.crypto.devices.put(device)
    bob.crypto.devices._mark(BOB, is_outdated=False)
    yield second


def test_requests_for_keys_that_are_none_stay_few(
    monkeypatch: pytest.MonkeyPatch, bob: Party, second: Party
) -> None:
    limit(monkeypatch, "key_requests", MOST_OF_A_ROOM=5, MOST=8)
    bob = again(bob)
    missing = GroupSession()
    bob.code(megolm_event(ALICE, missing))
    bob.run(bob.crypto.key_requests.answer())
    for number in range(20):
        bob.code(megolm_event(MALLORY, GroupSession(), number=number), "!flooded:x")
    bob.code(megolm_event(MALLORY, _Named(600 * "A"), number=99), "!flooded:x")
    bob.run(bob.crypto.key_requests.answer())
    table = bob.crypto.store.key_requests
    assert len(table.of("!flooded:x")) == 5 and list(table.of(ROOM)) == [missing.session_id]
    assert _actions(bob).count("request") == 21
    assert _actions(bob).count("request_cancellation") == 15, "those that are given up"
    bob.crypto.store.flush()
    requests = Party(BOB, state=bob.state).crypto.key_requests
    assert requests._quota.of(ROOM) == [(ROOM, missing.session_id)]


def _actions(bob: Party) -> list[str]:
    bodies = [body for path, body in bob.api.asked if "m.room_key_request" in path]
    return [body["messages"][BOB]["SECOND"]["action"] for body in bodies]


class _Named:
    """A session of any id."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.encrypt = GroupSession().encrypt


# -- reasons --------------------------------------------------------------------------------------


def withheld(sender: str, session: Any, **more: Any) -> dict[str, Any]:
    content = {
        "algorithm": "m.megolm.v1.aes-sha2",
        "room_id": ROOM,
        "session_id": session.session_id,
        "sender_key": "key",
        "code": "m.unverified",
        **more,
    }
    return {"type": "m.room_key.withheld", "sender": sender, "content": content}


def reason(bob: Party, event: dict[str, Any]) -> tuple[str | None, str | None]:
    found = bob.open(event)
    assert found is not None
    fields = json.loads(bytes(found.encryption))
    return fields.get("code"), fields.get("withheld_code")


def test_reasons_do_not_fill_the_store_and_cost_nobody_theirs(
    monkeypatch: pytest.MonkeyPatch, bob: Party
) -> None:
    limit(monkeypatch, "withheld", MOST_OF_ONE=5, MOST=8)
    bob = again(bob)
    session = GroupSession()
    bob.take(withheld(ALICE, session))
    for field in ("room_id", "session_id"):
        bob.take(withheld(MALLORY, session, **{field: 300 * "x"}))
    assert len(bob.crypto.store.withheld.places()) == 1
    for _ in range(20):
        newest = GroupSession()
        bob.take(withheld(MALLORY, newest))
    assert reason(bob, megolm_event(MALLORY, newest)) == ("withheld", "m.unverified")
    bob = again(bob)
    for number in range(20):
        bob.take(withheld(f"@s{number % 3}:evil", GroupSession()))
    assert len(bob.crypto.store.withheld.places()) == 8
    assert reason(bob, megolm_event(ALICE, session)) == ("withheld", "m.unverified")


def test_only_who_sent_an_event_can_say_why_its_key_is_not_given(bob: Party) -> None:
    session = GroupSession()
    event = megolm_event(ALICE, session, sender_key="hers")
    bob.take(withheld(MALLORY, session))
    # An own device that has not got it either says nothing about who has.
    bob.take(withheld(BOB, session, code="m.unavailable"))
    assert reason(bob, event) == ("missing_key", None)
    # Of a session of the same id, which another device of Alice's claims to have made.
    bob.take(withheld(ALICE, session, sender_key="other"))
    assert reason(bob, event) == ("missing_key", None)
    # Where the event does not tell its device, nobody can know better.
    assert reason(bob, megolm_event(ALICE, session)) == ("withheld", "m.unverified")
    bob.take(withheld(ALICE, session, sender_key="hers", code="m.blacklisted"))
    assert reason(bob, event) == ("withheld", "m.blacklisted")
    bob.take(withheld(MALLORY, session))
    assert reason(again(bob), event) == ("withheld", "m.blacklisted")


@pytest.mark.parametrize("sender_key", [None, 7, "", [], 300 * "x"])
def test_reasons_without_a_key_count_as_before(bob: Party, sender_key: Any) -> None:
    session = GroupSession()
    bob.take(withheld(ALICE, session, sender_key=sender_key))
    event = megolm_event(ALICE, session, sender_key="hers")
    assert reason(bob, event) == ("withheld", "m.unverified")


# -- hidden events --------------------------------------------------------------------------------


def test_of_hidden_events_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch, bob: Party) -> None:
    """And they take no place of those that wait for their key."""
    limit(monkeypatch, "hidden", MOST_OF_A_ROOM=5, MOST=100)
    limit(monkeypatch, "decrypt", MOST_WAITING=100, MOST_OF_A_ROOM=3)
    # No real id is like that.
    name = "@al\nice:x"
    alice = Party(name)
    acquaint(bob, alice)
    bob = again(bob)
    bob.crypto.policy = Policy(bob.crypto, "all", "verified")
    session = GroupSession()
    content = alice.room_key(session)
    early = megolm_event(name, session, number=100)
    assert bob.code(early) == "missing_key"
    bob.take(alice.seal(bob, "m.room_key", content))
    assert bob.code(early) == "untrusted_device"
    for number in range(10):
        event = megolm_event(name, session, number=number)
        assert bob.code(event) == "untrusted_device" == bob.code(event)
    assert not bob.crypto.store.undecrypted.places()
    place = f"{ROOM}|{session.session_id}"
    bob = again(bob)
    bob.crypto.policy = Policy(bob.crypto, "all", "verified")
    found = bob.crypto.hidden.of(place)
    assert found.keys() == {f"$e{number}" for number in range(5, 10)}
    assert json.loads(found["$e9"])["event_id"] == "$e9"
    assert bob.crypto.hidden.due() == set()
    device = alice.device()
    device.is_verified = True
    bob.crypto.devices.put(device)
    assert bob.crypto.hidden.due() == {(ROOM, session.session_id)}
    assert bob.code(megolm_event(MALLORY, GroupSession())) == "missing_key"
    assert len(bob.crypto.store.undecrypted.places()) == 1
    for event_id in found:
        bob.crypto.hidden.forget(place, event_id)
    assert not bob.crypto.store.hidden.places() and not bob.crypto.hidden.due()


def redaction(event_id: str, *, is_old: bool) -> Raw:
    """Of a room of version 11, or of one before."""
    redacts = {"redacts": event_id}
    event = {"type": "m.room.redaction", "sender": ALICE, "event_id": "$r", "origin_server_ts": 9}
    told = {**event, "content": {}, **redacts} if is_old else {**event, "content": redacts}
    return Raw(json.dumps(told).encode())


@pytest.mark.parametrize("is_old", [False, True])
def test_what_was_redacted_while_it_waited_is_given_no_more(bob: Party, is_old: bool) -> None:
    alice = Party(ALICE)
    acquaint(bob, alice)
    bob.crypto.policy = Policy(bob.crypto, "all", "verified")
    session = GroupSession()
    bob.take(alice.seal(bob, "m.room_key", alice.room_key(session)))
    for number in (1, 2):
        assert bob.code(megolm_event(ALICE, session, number=number)) == "untrusted_device"
    for number in (3, 4):
        bob.code(megolm_event(MALLORY, GroupSession(), number=number))
    late, store = bob.crypto.late, bob.crypto.store
    broken = Raw(b'{"type":"m.room.redaction","content":[]}')
    for name in ("$e1", "$e3"):
        late.look_for_redactions("!other:x", [redaction(name, is_old=is_old)])
        late.look_for_redactions(ROOM, [broken, redaction(name, is_old=is_old)])
    assert {name for _, name in store.hidden.places()} == {"$e2"}
    assert {name for _, name in store.undecrypted.places()} == {"$e4"}
    # Who only talks of redactions redacts nothing.
    said = {"type": "x.note", "content": {"redacts": "$e4", "body": "m.room.redaction"}}
    late.look_for_redactions(ROOM, [Raw(json.dumps(said).encode())])
    assert {name for _, name in store.undecrypted.places()} == {"$e4"}


def test_large_events_count_as_many(monkeypatch: pytest.MonkeyPatch, bob: Party) -> None:
    limit(monkeypatch, "decrypt", MOST_WAITING=100, MOST_OF_A_ROOM=20)
    table = bob.crypto.store.undecrypted
    for number in range(20):
        bob.code(megolm_event(MALLORY, GroupSession(), 30_000 * "x", number=number))
    assert len(table.places()) == 2
    bob = again(bob)
    assert bob.code(megolm_event(MALLORY, GroupSession(), number=50)) == "missing_key"
    assert len(bob.crypto.store.undecrypted.places()) == 2
    bob.code(megolm_event(MALLORY, GroupSession(), 200_000 * "x"), "!other:x")
    assert len(bob.crypto.store.undecrypted.places()) == 2, "no event is that large"
    for place, name in bob.crypto.store.undecrypted.places():
        bob.crypto.decryptor.waits_no_more(place, name)
    for number in range(30):
        bob.code(megolm_event(MALLORY, GroupSession(), number=number))
    assert len(bob.crypto.store.undecrypted.places()) == 20


def test_keys_that_are_forgotten_meanwhile_are_missing_in_a_key_file(bob: Party) -> None:
    """Strangers' keys give way while the others are being written."""
    keys = bob.crypto.room_keys
    for _ in range(120):
        keys.take_own(ROOM, GroupSession().session_key.to_base64())
    places = keys.places()
    gone = {places[0], places[-1], *places[70:80]}
    told: list[int] = []

    def report(number: int, total: int) -> None:
        told.append(number)
        for place in gone if number else {places[0]}:
            keys._forget(*place)

    count, text = bob.run(
        export_keys(bob.crypto, "secret", path=None, room_id=None, rounds=10, report=report)
    )
    assert count == 120 - len(gone) and told[-1] == 120
    assert text is not None
    found = json.loads(read_key_file(text.encode(), "secret"))
    assert {each["session_id"] for each in found} == {name for _, name in set(places) - gone}
