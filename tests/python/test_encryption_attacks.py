"""What hostile homeservers, members and devices try with room keys and events; no network."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from vodozemac import GroupSession, InboundGroupSession

from libmatrix.crypto.sharing import Recipients
from libmatrix.crypto.signatures import encode_base64
from tests.support.parties import (
    ALICE,
    BOB,
    MALLORY,
    ROOM,
    Party,
    encryption,
    megolm_event,
    refresh,
)


def exported(session: Any, alice: Party) -> dict[str, Any]:
    """What a backup has of a session of Alice's."""
    key = InboundGroupSession(session.session_key).export_at(0)
    assert key is not None
    return {
        **alice.room_key(session),
        "session_key": key.to_base64(),
        "sender_key": alice.crypto.account.curve25519,
        "sender_claimed_keys": {"ed25519": alice.crypto.account.ed25519},
    }


# -- sessions -------------------------------------------------------------------------------------


def test_who_passes_a_session_on_first_does_not_own_it(
    alice: Party, bob: Party, mallory: Party
) -> None:
    """Mallory was given Alice's session a moment earlier, and gives it to Bob as her own."""
    session = GroupSession()
    content = alice.room_key(session)
    bob.take(mallory.seal(bob, "m.room_key", content))
    assert bob.code(megolm_event(ALICE, session)) == "wrong_sender"
    bob.take(alice.seal(bob, "m.room_key", content))
    assert encryption(bob, megolm_event(ALICE, session, number=2))["sender"] == ALICE
    # Also after a restart.
    bob.crypto.store.flush()
    again = Party(BOB, state=bob.state)
    again.knows(alice)
    assert encryption(again, megolm_event(ALICE, session, number=3))["sender"] == ALICE


@pytest.mark.parametrize("source", ["backup", "import", "forwarded"])
def test_nobody_takes_a_session_over_that_is_not_proven(
    alice: Party, bob: Party, mallory: Party, source: Any
) -> None:
    session = GroupSession()
    content = mallory.room_key(session)
    assert bob.crypto.room_keys.take_exported(exported(session, alice), source)
    bob.take(mallory.seal(bob, "m.room_key", content))
    said = encryption(bob, megolm_event(ALICE, session))
    assert said["is_decrypted"] and said["shield"] == "grey" and "sender" not in said
    bob.take(alice.seal(bob, "m.room_key", content))
    assert encryption(bob, megolm_event(ALICE, session, number=2))["sender"] == ALICE


def test_an_index_is_not_used_up_by_an_event_of_another_room(
    alice: Party, bob: Party, mallory: Party
) -> None:
    """Mallory repeats Alice's ciphertext in another room before Bob has seen Alice's event."""
    session = GroupSession()
    content = alice.room_key(session)
    trap = {**content, "room_id": "!trap:x"}
    bob.take(mallory.seal(bob, "m.room_key", trap))
    event = megolm_event(ALICE, session)
    copy = {**event, "sender": MALLORY, "event_id": "$copy"}
    assert bob.code(copy, "!trap:x") == "wrong_room"
    bob.take(alice.seal(bob, "m.room_key", content))
    assert bob.code(event) is None


def test_an_index_is_not_used_up_by_somebody_elses_copy(alice: Party, bob: Party) -> None:
    """Of a session that nobody proves, out of a backup: the copy may be seen before the event."""
    session = GroupSession()
    assert bob.crypto.room_keys.take_exported(exported(session, alice), "backup")
    event = megolm_event(ALICE, session)
    copy = {**event, "sender": MALLORY, "event_id": "$copy"}
    said = encryption(bob, copy)
    assert said["shield"] == "grey" and "sender" not in said
    assert bob.code(event) is None
    assert bob.code({**event, "event_id": "$again"}) == "replayed"


@pytest.mark.parametrize("kind", ["m.room.redaction", "m.room.encrypted"])
def test_what_is_never_encrypted_counts_for_nothing_when_it_is(
    alice: Party, bob: Party, kind: str
) -> None:
    """The homeserver has not checked who may redact what an encrypted event says."""
    session = GroupSession()
    bob.take(alice.seal(bob, "m.room_key", alice.room_key(session)))
    inner = {"type": kind, "room_id": ROOM, "content": {"redacts": "$of_bob"}}
    event = megolm_event(ALICE, session)
    event["content"]["ciphertext"] = session.encrypt(json.dumps(inner).encode()).to_base64()
    found = bob.open(event)
    assert found is not None and found.type == "m.room.encrypted"
    assert json.loads(bytes(found.encryption))["code"] == "bad_message"


def test_events_wait_when_somebody_elses_copy_of_the_key_came_first(
    alice: Party, bob: Party, mallory: Party
) -> None:
    session = GroupSession()
    content = alice.room_key(session)
    bob.take(mallory.seal(bob, "m.room_key", content))
    assert bob.code(megolm_event(ALICE, session)) == "wrong_sender"
    waiting = bob.crypto.store.undecrypted.of(f"{ROOM}|{session.session_id}")
    assert waiting.keys() == {"$e1"}


def test_a_key_of_another_length_harms_nobody(
    monkeypatch: pytest.MonkeyPatch, alice: Party, bob: Party
) -> None:
    """vodozemac panics at one of 33 bytes, which is no Exception and would end the sync."""
    stranger = Party(MALLORY)
    stranger.meet(bob)
    for size in (0, 31, 33, 64):
        key = encode_base64(bytes(size))
        keys = stranger.crypto.account.device_keys()
        spoilt = {**keys, "keys": {**keys["keys"], "ed25519:D": key}}
        monkeypatch.setattr(stranger.crypto, "own_device_keys", lambda kept=spoilt: kept)
        bad = stranger.seal(bob, "x.note", {})
        shown = bob.take(bad, alice.seal(bob, "x.note", {"size": size}))
        assert [event["content"] for event in shown if event["sender"] == ALICE] == [{"size": size}]
        refresh(bob, {"device_keys": {MALLORY: {"D": spoilt}}})
        assert not bob.crypto.devices.of(MALLORY)
        master = {"user_id": MALLORY, "usage": ["master"], "keys": {f"ed25519:{key}": key}}
        signed = {**master, "signatures": {MALLORY: {f"ed25519:{key}": encode_base64(bytes(64))}}}
        answer = {
            "device_keys": {MALLORY: {}},
            "master_keys": {MALLORY: master},
            "self_signing_keys": {MALLORY: {**signed, "usage": ["self_signing"]}},
        }
        refresh(bob, answer)


def test_a_key_that_is_discarded_while_it_is_shared_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch, alice: Party
) -> None:
    outbound = alice.crypto.outbound
    nobody = Recipients((0,), {}, [])

    async def settings(_: str) -> tuple[int, int]:
        return 3_600_000, 100

    async def recipients(_: str) -> Recipients:
        return nobody

    async def share(*_: Any) -> None:
        outbound.discard(ROOM)

    monkeypatch.setattr(outbound, "settings", settings)
    monkeypatch.setattr(outbound.sharing, "recipients", recipients)
    monkeypatch.setattr(outbound.sharing, "share", share)
    _, first = alice.run(outbound.encrypt(ROOM, "m.room.message", {"body": "1"}))
    _, second = alice.run(outbound.encrypt(ROOM, "m.room.message", {"body": "2"}))
    assert first["session_id"] != second["session_id"]


# -- floods ---------------------------------------------------------------------------------------


def test_events_that_nobody_can_decrypt_keep_no_others_from_waiting(
    monkeypatch: pytest.MonkeyPatch, alice: Party, bob: Party
) -> None:
    monkeypatch.setattr("libmatrix.crypto.decrypt._MOST_WAITING", 40)
    monkeypatch.setattr("libmatrix.crypto.decrypt._MOST_OF_A_ROOM", 10)
    for number in range(100):
        bob.code(megolm_event(MALLORY, GroupSession(), number=number), "!flooded:x")
    table = bob.crypto.store.undecrypted
    assert len(table.places()) == 10
    session = GroupSession()
    for _ in range(50):
        # The same again, as by paging through history, takes no more room.
        event = megolm_event(ALICE, session, number=1000)
        assert bob.code(event) == "missing_key"
    assert list(table.of(f"{ROOM}|{session.session_id}")) == ["$e1000"]
    # What was decrypted makes room; a session's id cannot be made to count for another room.
    for number in range(60):
        room_id = f"!busy{number}:x"
        bob.code(megolm_event(ALICE, GroupSession(), number=number), room_id)
        for first, second in table.places():
            if first.startswith(room_id):
                bob.crypto.decryptor.waits_no_more(first, second)
                bob.crypto.decryptor.waits_no_more(first, second)
    event = megolm_event(ALICE, GroupSession(), number=2000)
    bob.code(event)
    assert "$e2000" in {event_id for _, event_id in table.places()}
    event = megolm_event(ALICE, GroupSession(), number=3000)
    event["content"]["session_id"] = "a|b"
    assert bob.code(event) == "missing_key"
    assert "$e3000" not in {event_id for _, event_id in table.places()}


def test_a_homeserver_that_answers_slowly_holds_up_one_sync_only(
    monkeypatch: pytest.MonkeyPatch, bob: Party, mallory: Party
) -> None:
    monkeypatch.setattr("libmatrix.crypto.machine._DEVICES_SECONDS", 0.01)
    asked = 0

    async def never(*_: Any, **__: Any) -> bytes:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr(bob.api, "call", never)
    for _ in range(3):
        bob.crypto.devices.invalidate(MALLORY)
        bob.take(mallory.seal(bob, "m.room_key", mallory.room_key(GroupSession())))
    assert asked == 1
    assert not bob.crypto.devices.is_current(MALLORY), "they are asked for beside the syncs"
