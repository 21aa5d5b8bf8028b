"""What is decrypted, what is refused and why; no network."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vodozemac import GroupSession

from tests.support.parties import ALICE, BOB, MALLORY, ROOM, Party, megolm_event


@pytest.fixture
def parties() -> tuple[Party, Party]:
    alice, bob = Party(ALICE), Party(BOB)
    alice.knows(bob)
    bob.knows(alice)
    alice.meet(bob)
    return alice, bob


def shared(alice: Party, bob: Party, room_id: str = ROOM) -> Any:
    session = GroupSession()
    bob.take(alice.seal(bob, "m.room_key", alice.room_key(session, room_id)))
    return session


def said(bob: Party, event: dict[str, Any]) -> dict[str, Any]:
    found = bob.open(event)
    assert found is not None
    fields: dict[str, Any] = json.loads(bytes(found.encryption))
    return fields


def test_who_sent_it_is_proven(parties: tuple[Party, Party]) -> None:
    alice, bob = parties
    session = shared(alice, bob)
    fields = said(bob, megolm_event(ALICE, session))
    assert (fields["sender"], fields["sender_device_id"]) == (ALICE, "D")
    assert (fields["shield"], fields["shield_reason"]) == ("red", "unsigned_device")
    device = alice.device()
    device.is_verified = True
    bob.crypto.devices.put(device)
    fields = said(bob, megolm_event(ALICE, session, number=2))
    assert fields["is_verified"] and fields["shield"] == "none"


def test_the_session_of_one_does_not_speak_for_another(parties: tuple[Party, Party]) -> None:
    """Mallory shares a session, and the homeserver says that Alice sent what it encrypts."""
    _, bob = parties
    mallory = Party(MALLORY)
    bob.knows(mallory)
    mallory.meet(bob)
    session = shared(mallory, bob)
    assert bob.code(megolm_event(ALICE, session)) == "wrong_sender"
    assert bob.code(megolm_event(MALLORY, session)) is None


def test_a_server_that_invents_a_device_is_seen_through(parties: tuple[Party, Party]) -> None:
    """It says that Alice sent both the key and the event; her devices say otherwise."""
    _, bob = parties
    mallory = Party(ALICE, "EVIL")
    mallory.meet(bob)
    session = shared(mallory, bob)
    fields = said(bob, megolm_event(ALICE, session))
    assert (fields["shield"], fields["shield_reason"]) == ("red", "unknown_device")
    assert "sender" not in fields


def test_an_event_of_another_room_is_refused(parties: tuple[Party, Party]) -> None:
    alice, bob = parties
    session = shared(alice, bob)
    assert bob.code(megolm_event(ALICE, session, room_id="!other:x")) == "wrong_room"
    assert bob.code(megolm_event(ALICE, session), room_id="!other:x") == "missing_key"


def test_an_index_is_used_once(parties: tuple[Party, Party]) -> None:
    alice, bob = parties
    session = shared(alice, bob)
    event = megolm_event(ALICE, session)
    assert bob.code(event) is None
    assert bob.code(event) is None, "the same event may come again"
    replayed = {**event, "event_id": "$other"}
    assert bob.code(replayed) == "replayed"
    assert bob.code({**event, "origin_server_ts": 77}) == "replayed"
    bob.crypto.store.flush()
    again = Party(BOB, state=bob.state)
    assert again.crypto.store.indices.of(session.session_id)


def test_relations_come_from_outside(parties: tuple[Party, Party]) -> None:
    alice, bob = parties
    session = shared(alice, bob)
    relation = {"rel_type": "m.thread", "event_id": "$root"}
    found = bob.open(megolm_event(ALICE, session, **{"m.relates_to": relation}))
    assert found is not None
    assert json.loads(bytes(found.content))["m.relates_to"] == relation


def test_an_event_before_the_key_waits(parties: tuple[Party, Party]) -> None:
    alice, bob = parties
    session = GroupSession()
    event = megolm_event(ALICE, session)
    assert bob.code(event) == "missing_key"
    # The key begins after it.
    bob.take(alice.seal(bob, "m.room_key", alice.room_key(session)))
    assert bob.code(event) == "unknown_index"
    assert bob.crypto.store.undecrypted.of(f"{ROOM}|{session.session_id}").keys() == {"$e1"}


def test_a_redacted_event_stays_as_it_is(parties: tuple[Party, Party]) -> None:
    _, bob = parties
    event = {
        "type": "m.room.encrypted",
        "sender": ALICE,
        "event_id": "$e",
        "origin_server_ts": 1,
        "content": {},
    }
    assert bob.open(event) is None


def test_withheld_keys_say_why(parties: tuple[Party, Party]) -> None:
    _, bob = parties
    session = GroupSession()
    content = {"room_id": ROOM, "session_id": session.session_id, "code": "m.blacklisted"}
    bob.take({"type": "m.room_key.withheld", "sender": ALICE, "content": content})
    fields = said(bob, megolm_event(ALICE, session))
    assert (fields["code"], fields["withheld_code"]) == ("withheld", "m.blacklisted")


# -- to-device ------------------------------------------------------------------------------------


def test_keys_in_clear_are_refused(parties: tuple[Party, Party]) -> None:
    alice, bob = parties
    session = GroupSession()
    content = alice.room_key(session)
    shown = bob.take({"type": "m.room_key", "sender": ALICE, "content": content})
    assert shown == [] and bob.code(megolm_event(ALICE, session)) == "missing_key"


def test_a_message_counts_once_but_survives_a_crash(parties: tuple[Party, Party]) -> None:
    alice, bob = parties
    session = GroupSession()
    event = alice.seal(bob, "m.room_key", alice.room_key(session))
    # The sync brought it, something else was written, and then the process died.
    from msgspec import Raw

    bob.run(bob.crypto.to_device.receive([Raw(json.dumps(event).encode())]))
    bob.crypto.room_keys._open.clear()
    bob.crypto.store.room_keys.delete(ROOM, session.session_id)
    bob.crypto.store.flush()
    bob.take(event)
    assert bob.code(megolm_event(ALICE, session)) is None
    assert bob.crypto.store.received.places() == set()
    before = len(bob.log.lines)
    bob.take(event)
    assert "received before" in bob.log.lines[before][1]


def test_the_host_sees_what_is_for_it(parties: tuple[Party, Party]) -> None:
    alice, bob = parties
    heard: list[Any] = []
    bob.crypto.on_to_device("x.note", lambda *given: heard.append(given))
    shown = bob.take(
        alice.seal(bob, "x.note", {"a": 1}),
        {"type": "x.note", "sender": ALICE, "content": {"b": 2}},
        alice.seal(bob, "m.dummy", {}),
    )
    assert [event["content"] for event in shown] == [{"a": 1}, {"b": 2}]
    assert bob.proved == {0: "D"}
    assert [(sender, device and device.device_id) for sender, device, _ in heard] == [
        (ALICE, "D"),
        (ALICE, None),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"sender": MALLORY},
        {"recipient": MALLORY},
        {"recipient_keys": {"ed25519": "x"}},
        {"recipient_keys": {}},
        {"keys": {"ed25519": "x"}},
        {"keys": {}},
        {"content": []},
        {"type": 7},
    ],
)
def test_an_olm_message_must_be_for_us_and_from_its_sender(
    parties: tuple[Party, Party], change: dict[str, Any]
) -> None:
    alice, bob = parties
    from libmatrix.crypto import olm

    real = olm.encode

    def encode(value: Any) -> bytes:
        return real({**value, **change} if isinstance(value, dict) else value)

    olm.encode = encode  # type: ignore[assignment]
    try:
        event = alice.seal(bob, "x.note", {"a": 1})
    finally:
        olm.encode = real
    assert bob.take(event) == []
    assert bob.take(alice.seal(bob, "x.note", {"b": 1})) != []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += places_in(item, (*path, key))
    return found


def changed(event: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    copied = copy.deepcopy(event)
    target = copied
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return copied


@settings(max_examples=150)
@given(data=st.data())
def test_nothing_malformed_harms_the_rest(parties: tuple[Party, Party], data: Any) -> None:
    """Any part of a to-device or timeline event may be anything: the sound ones still arrive."""
    alice, bob = parties
    session = GroupSession()
    olm_event = alice.seal(bob, "m.room_key", alice.room_key(GroupSession()))
    plain = {
        "type": data.draw(
            st.sampled_from(["m.room_key.withheld", "m.room_key_request", "m.forwarded_room_key"])
        ),
        "sender": data.draw(st.sampled_from([ALICE, BOB])),
        "content": {"room_id": ROOM, "session_id": "s", "body": {}, "action": "request"},
    }
    broken = []
    for event in (olm_event, plain):
        path = data.draw(st.sampled_from(places_in(event)))
        broken.append(changed(event, path, data.draw(JSON)))
    sound = alice.seal(bob, "m.room_key", alice.room_key(session))
    bob.take(*broken, sound)
    event = megolm_event(ALICE, session)
    path = data.draw(st.sampled_from([p for p in places_in(event) if p[0] == "content"]))
    value = data.draw(JSON)
    try:
        bob.open(changed(event, path, value if path != ("content",) else {"x": value}))
    except Exception as error:
        assert type(error).__name__ == "MalformedEventError"
    fresh = megolm_event(ALICE, session, number=9)
    fresh["event_id"] = f"$fresh{session.session_id}"
    assert bob.code(fresh) is None


@settings(max_examples=100)
@given(cut=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_damaged_ciphertext_is_refused(parties: tuple[Party, Party], cut: int, byte: int) -> None:
    from libmatrix.crypto.signatures import decode_base64, encode_base64

    alice, bob = parties
    session = shared(alice, bob)
    event = megolm_event(ALICE, session)
    data = bytearray(decode_base64(event["content"]["ciphertext"]))
    place = cut % len(data)
    is_same = data[place] == byte
    data[place] = byte
    event["content"]["ciphertext"] = encode_base64(bytes(data))
    assert (bob.code(event) is None) == is_same or not is_same
    sealed = alice.seal(bob, "x.note", {"a": 1})
    (message,) = sealed["content"]["ciphertext"].values()
    data = bytearray(decode_base64(message["body"]))
    data[cut % len(data)] ^= byte or 1
    message["body"] = encode_base64(bytes(data))
    bob.take(sealed)
    assert bob.take(alice.seal(bob, "x.note", {"b": 2}))[0]["content"] == {"b": 2}


# -- forwards and files ---------------------------------------------------------------------------


def forward(bob: Party, session: Any, alice: Party) -> dict[str, Any]:
    content = bob.room_key(session)
    from vodozemac import InboundGroupSession

    exported = InboundGroupSession(session.session_key).export_at(0)
    assert exported is not None
    return {
        **content,
        "session_key": exported.to_base64(),
        "sender_key": alice.crypto.account.curve25519,
        "sender_claimed_ed25519_key": alice.crypto.account.ed25519,
        "forwarding_curve25519_key_chain": [],
    }


def test_a_forward_counts_when_it_was_asked_for() -> None:
    bob, other, alice = Party(BOB), Party(BOB, "OTHER"), Party(ALICE)
    bob.knows(other, alice)
    other.knows(bob)
    other.meet(bob)
    session = GroupSession()
    content = forward(bob, session, alice)
    event = megolm_event(ALICE, session)
    bob.take(other.seal(bob, "m.forwarded_room_key", content))
    assert bob.code(event) == "missing_key", "nobody asked"
    bob.crypto.store.key_requests.put(ROOM, session.session_id, b"request")
    bob.take(other.seal(bob, "m.forwarded_room_key", content))
    assert bob.code(event) == "missing_key", "not verified"
    device = other.device()
    device.is_verified = True
    bob.crypto.devices.put(device)
    bob.take(other.seal(bob, "m.forwarded_room_key", content))
    fields = said(bob, event)
    assert (fields["shield"], fields["shield_reason"]) == ("grey", "authenticity_not_guaranteed")
    bob.knows(alice)
    alice.meet(bob)
    bob.take(alice.seal(bob, "m.forwarded_room_key", content))
    assert "not verified" in bob.log.lines[-1][1]


def test_an_import_never_replaces_what_is_proven(parties: tuple[Party, Party]) -> None:
    alice, bob = parties
    session = GroupSession()
    exported = forward(bob, session, alice)
    first = megolm_event(ALICE, session)
    bob.take(alice.seal(bob, "m.room_key", alice.room_key(session)))
    assert bob.code(first) == "unknown_index"
    # A file with more of the same session: what is proven stays so.
    assert bob.crypto.room_keys.take_exported(exported, "import")
    assert said(bob, first)["sender"] == ALICE
    assert not bob.crypto.room_keys.take_exported(exported, "import")
    with pytest.raises(ValueError):
        bob.crypto.room_keys.take_exported({**exported, "session_key": "AAAA"}, "import")
    with pytest.raises(ValueError):
        bob.crypto.room_keys.take_exported([], "import")
    other = forward(bob, GroupSession(), alice) | {"session_id": session.session_id}
    assert not bob.crypto.room_keys.take_exported(other, "import")
