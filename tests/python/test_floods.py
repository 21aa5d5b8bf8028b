"""What strangers send in any number must neither fill the store nor cost others theirs; no network.

Each limit is made small here.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vodozemac import Account, Curve25519PublicKey, GroupSession, InboundGroupSession

from libmatrix.crypto.quota import Quota
from libmatrix.crypto.signatures import encode_base64
from libmatrix.rooms.room import RoomState
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


def give(sender: Party, bob: Party, session: Any, room_id: str = ROOM) -> None:
    bob.take(sender.seal(bob, "m.room_key", sender.room_key(session, room_id)))


def has(bob: Party, session: Any) -> bool:
    return bob.crypto.room_keys.has(ROOM, session.session_id)


# -- the rule -------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 30)), max_size=80))
def test_who_has_the_most_gives_way(steps: list[tuple[str, int]]) -> None:
    """Some weigh more than others."""
    there = [("a", -1), ("a", -2)]
    quota: Quota[tuple[str, int]] = Quota(4, 10, lambda: [("a", place, 1) for place in there])
    kept = dict.fromkeys(there, 1)

    def weight(who: str) -> int:
        return sum(size for each, size in kept.items() if each[0] == who)

    for owner, number in steps:
        place, size = (owner, number), 1 + number // 20
        kept.pop(place, None)
        kept[place] = size
        for gone in quota.add(owner, place, size):
            theirs = [each for each in kept if each[0] == gone[0]]
            assert gone == theirs[0] and weight(gone[0]) == max(map(weight, "abcd"))
            del kept[gone]
        assert len(quota) == len(kept) and sum(kept.values()) <= 10
        for who in "abcd":
            assert quota.of(who) == [each for each in kept if each[0] == who]
            assert weight(who) <= 4
    assert set(quota.drain()) == set(kept) and not len(quota)


# -- room keys ------------------------------------------------------------------------------------


def test_room_keys_that_nobody_needs_do_not_fill_the_store(
    monkeypatch: pytest.MonkeyPatch, alice: Party, bob: Party, mallory: Party
) -> None:
    limit(monkeypatch, "unused_keys", MOST_OF_ONE=5, MOST=8)
    bob = again(bob)
    used, waiting = GroupSession(), GroupSession()
    give(alice, bob, used)
    give(alice, bob, waiting)
    assert bob.code(megolm_event(ALICE, used)) is None
    evil = [GroupSession() for _ in range(20)]
    for session in evil:
        give(mallory, bob, session)
    assert [has(bob, session) for session in evil] == 15 * [False] + 5 * [True]
    assert bob.crypto.store.unsaved_keys.places() == bob.crypto.store.room_keys.places()
    # After a restart, and with the help of others: Alice loses nothing.
    bob = again(bob)
    for number in range(3):
        helper = Party(f"@helper{number}:evil")
        acquaint(bob, helper)
        for _ in range(5):
            give(helper, bob, GroupSession())
    assert len(bob.crypto.store.room_keys.places()) == 1 + 8
    assert has(bob, used) and has(bob, waiting)
    assert bob.code(megolm_event(ALICE, waiting, number=2)) is None
    # A session that was used counts no more.
    for _ in range(10):
        session = GroupSession()
        give(alice, bob, session)
        assert bob.code(megolm_event(ALICE, session)) is None
    assert has(bob, used) and has(bob, waiting)


def test_nobody_has_a_session_forgotten_that_is_anothers(
    monkeypatch: pytest.MonkeyPatch, alice: Party, bob: Party, mallory: Party
) -> None:
    """Mallory was given the session, passes it on as hers, and then floods."""
    limit(monkeypatch, "unused_keys", MOST_OF_ONE=3, MOST=100)
    bob = again(bob)
    before, after, own, restored = (GroupSession() for _ in range(4))
    second = Party(BOB, "SECOND")
    acquaint(bob, second)
    give(mallory, bob, before)
    for session in (before, after):
        give(alice, bob, session)
    give(mallory, bob, after)
    give(mallory, bob, own)
    give(second, bob, own)
    give(mallory, bob, restored)
    key = InboundGroupSession(restored.session_key).export_at(0)
    assert key is not None
    exported = {**alice.room_key(restored), "session_key": key.to_base64(), "sender_key": "x"}
    bob.crypto.room_keys.take_exported(exported, "import")
    for _ in range(10):
        give(mallory, bob, GroupSession())
    assert all(has(bob, session) for session in (before, after, own, restored))
    assert bob.code(megolm_event(ALICE, before)) is None
    # This user's own devices are not limited at all.
    mine = [GroupSession() for _ in range(10)]
    for session in mine:
        give(second, bob, session)
    assert all(has(bob, session) for session in mine)


@pytest.mark.parametrize("field", ["room_id", "session_id", "session_key"])
def test_room_keys_of_absurd_size_are_left_out(alice: Party, bob: Party, field: str) -> None:
    content = alice.room_key(GroupSession())
    bob.take(alice.seal(bob, "m.room_key", {**content, field: content[field] + 60_000 * "A"}))
    assert not bob.crypto.store.room_keys.places()


def test_what_a_backup_says_of_a_key_has_limits(bob: Party, alice: Party) -> None:
    session = GroupSession()
    key = InboundGroupSession(session.session_key).export_at(0)
    assert key is not None
    exported = {
        **alice.room_key(session),
        "session_key": key.to_base64(),
        "sender_key": 10_000 * "A",
        "sender_claimed_keys": {"ed25519": 10_000 * "A"},
        "forwarding_curve25519_key_chain": 5_000 * ["key"] + [10_000 * "A"],
    }
    assert bob.crypto.room_keys.take_exported(exported, "backup")
    again(bob)
    kept = bob.crypto.store.room_keys.get(ROOM, session.session_id)
    assert kept is not None and len(kept) < 5_000


def test_an_index_far_ahead_costs_nothing_and_harms_nothing(alice: Party, bob: Party) -> None:
    """Of a session whose owner counts on as far as it goes."""
    session = GroupSession()
    give(alice, bob, session)
    first = megolm_event(ALICE, session)
    # The same session, as its owner may have it after four thousand million messages.
    raw = megolm_event(ALICE, session, number=2)
    ciphertext = raw["content"]["ciphertext"]
    absurd = {**raw, "content": {**raw["content"], "ciphertext": _with_index(ciphertext)}}
    assert bob.code(absurd) == "bad_message"
    assert bob.code(first) is None and bob.code(raw) is None


def _with_index(ciphertext: str) -> str:
    """A Megolm message with the highest index there is."""
    from libmatrix.crypto.signatures import decode_base64

    data = decode_base64(ciphertext)
    assert data[:2] == b"\x03\x08" and data[2] < 0x80
    return encode_base64(data[:2] + b"\xff\xff\xff\xff\x0f" + data[3:])


# -- Olm sessions ---------------------------------------------------------------------------------


class Stranger:
    """Whoever makes up keys: nothing of it is at any homeserver."""

    def __init__(self, bob: Party, sender: str) -> None:
        self.bob, self.sender = bob, sender

    def send(self, account: Account | None = None) -> None:
        """A message that begins a session, by a one-time key of Bob's."""
        account, own = account or Account(), self.bob.crypto.account
        own.olm.generate_one_time_keys(1)
        [key] = own.olm.one_time_keys.values()
        own.olm.mark_keys_as_published()
        session = account.create_outbound_session(
            Curve25519PublicKey.from_base64(own.curve25519), key
        )
        said = {
            "type": "x.note",
            "content": {},
            "sender": self.sender,
            "recipient": BOB,
            "recipient_keys": {"ed25519": own.ed25519},
            "keys": {"ed25519": account.ed25519_key.to_base64()},
        }
        kind, body = session.encrypt(json.dumps(said).encode()).to_parts()
        content = {
            "algorithm": "m.olm.v1.curve25519-aes-sha2",
            "sender_key": account.curve25519_key.to_base64(),
            "ciphertext": {own.curve25519: {"type": kind, "body": encode_base64(body)}},
        }
        event = {"type": "m.room.encrypted", "sender": self.sender, "content": content}
        assert self.bob.take(event), self.bob.log.lines


def sessions(bob: Party, user_id: str) -> int:
    places = bob.crypto.store.olm_sessions.places()
    return sum(place.endswith(f"|{user_id}") for place, _ in places)


def test_sessions_with_keys_that_nobody_knows_are_few(
    monkeypatch: pytest.MonkeyPatch, alice: Party, bob: Party
) -> None:
    limit(monkeypatch, "olm", MOST_OF_A_STRANGER=4, MOST_OF_STRANGERS=10)
    bob = again(bob)
    # One that is not known yet, as of a device that is new, and one that is known.
    new = Party(ALICE, "NEW")
    new.meet(bob)
    give(alice, bob, GroupSession())
    bob.take(new.seal(bob, "x.note", {}))
    for _ in range(12):
        Stranger(bob, MALLORY).send()
    assert sessions(bob, MALLORY) == 4 and sessions(bob, ALICE) == 2
    bob = again(bob)
    for number in range(12):
        for _ in range(3):
            Stranger(bob, f"@helper{number}:evil").send()
    total = len(bob.crypto.store.olm_sessions.places())
    assert total <= 1 + 10 and sessions(bob, MALLORY) <= 4
    # The known one works on.
    assert bob.take(alice.seal(bob, "x.note", {"n": 1}))[0]["content"] == {"n": 1}


def test_a_session_counts_no_more_once_its_device_is_known(
    monkeypatch: pytest.MonkeyPatch, alice: Party, bob: Party
) -> None:
    limit(monkeypatch, "olm", MOST_OF_A_STRANGER=2, MOST_OF_STRANGERS=4)
    bob = again(bob)
    new = Party(ALICE, "NEW")
    new.meet(bob)
    bob.take(new.seal(bob, "x.note", {}))
    bob.crypto.devices.put(new.device())
    assert not bob.crypto.store.stranger_sessions.places()
    for _ in range(6):
        Stranger(bob, ALICE).send()
    assert bob.take(new.seal(bob, "x.note", {"n": 2}))[0]["content"] == {"n": 2}


def test_of_many_sessions_with_one_device_the_newest_count(alice: Party, bob: Party) -> None:
    account = Account()
    for _ in range(20):
        Stranger(bob, MALLORY).send(account)
    assert sessions(bob, MALLORY) == 16
    assert len(bob.crypto.store.stranger_sessions.places()) == 16


# -- users and their devices ----------------------------------------------------------------------


def test_users_who_only_send_keys_are_not_followed_for_ever(
    monkeypatch: pytest.MonkeyPatch, alice: Party, bob: Party
) -> None:
    limit(monkeypatch, "devices", MOST_STRANGERS=5)
    _joined(bob, ROOM, ALICE)
    member = Party("@member:x")
    _joined(bob, ROOM, member.user_id)
    met = [member, *(Party(f"@s{number}:evil") for number in range(12))]
    for party in met:
        acquaint_by_key(bob, party)
    users = {user for user, _ in bob.crypto.store.users.places()}
    assert users == {BOB, ALICE, member.user_id, *(f"@s{n}:evil" for n in range(7, 12))}
    assert {user for user, _ in bob.crypto.store.devices.places()} <= users
    # After a restart they are strangers still; who becomes of interest is one no more.
    bob = again(bob)
    _joined(bob, ROOM, member.user_id)
    bob.run(bob.crypto.devices.refresh(["@s7:evil"]))
    for number in range(20, 32):
        acquaint_by_key(bob, Party(f"@s{number}:evil"))
    users = {user for user, _ in bob.crypto.store.users.places()}
    expected = {"@s7:evil", *(f"@s{number}:evil" for number in range(27, 32))}
    assert users == {BOB, ALICE, member.user_id} | expected


def test_a_stranger_who_was_verified_is_none(monkeypatch: pytest.MonkeyPatch, bob: Party) -> None:
    """The verification was asked for by the stranger, without an identity."""
    limit(monkeypatch, "devices", MOST_STRANGERS=2)
    verified = Party("@verified:x")
    acquaint_by_key(bob, verified)
    device = bob.crypto.devices.of(verified.user_id)["D"]
    device.is_verified = True
    bob.crypto.devices.put(device)
    for number in range(5):
        acquaint_by_key(bob, Party(f"@s{number}:evil"))
    assert bob.crypto.devices.of(verified.user_id)["D"].is_verified
    assert (verified.user_id, "") in bob.crypto.store.users.places()


def acquaint_by_key(bob: Party, other: Party) -> None:
    """A user whom Bob does not know sends him a key."""
    keys = {other.user_id: {"D": other.crypto.account.device_keys()}}
    bob.api.answers["keys/query"] = {"device_keys": keys}
    other.knows(bob)
    other.meet(bob)
    give(other, bob, GroupSession())


def _joined(bob: Party, room_id: str, user_id: str) -> None:
    """Bob is in a room with the user."""
    from msgspec import Raw

    bob.state.rooms[room_id] = RoomState(room_id=room_id, membership="join")
    event = {
        "type": "m.room.member",
        "state_key": user_id,
        "sender": user_id,
        "event_id": f"$join{user_id}",
        "origin_server_ts": 1,
        "content": {"membership": "join"},
    }
    with bob.state.disk.transaction() as writer:
        raw = Raw(json.dumps(event).encode())
        writer.states([(room_id, "m.room.member", user_id, raw)])


def test_an_absurd_list_of_devices_is_cut_short(
    monkeypatch: pytest.MonkeyPatch, alice: Party, bob: Party
) -> None:
    limit(monkeypatch, "devices", MOST_DEVICES=5)
    keys = {f"M{number}": {"junk": number} for number in range(20)}
    keys |= {f"N{number}": _device(ALICE, f"N{number}") for number in range(9)}
    keys["D"] = alice.crypto.account.device_keys()
    bob.api.answers["keys/query"] = {"device_keys": {ALICE: keys}}
    bob.run(bob.crypto.devices.refresh([ALICE], force=True))
    assert len(bob.crypto.devices.of(ALICE)) <= 5 and bob.crypto.devices.get(ALICE, "D")
    assert any("only 5 of the 30 devices" in text for _, text, _ in bob.log.lines)


def test_a_device_of_absurd_size_is_none(alice: Party, bob: Party) -> None:
    keys = alice.crypto.account.sign({**_unsigned(alice), "x.more": 30_000 * "x"})
    bob.api.answers["keys/query"] = {"device_keys": {ALICE: {"D": keys}}}
    bob.run(bob.crypto.devices.refresh([ALICE], force=True))
    assert not bob.crypto.devices.of(ALICE)


def _unsigned(party: Party) -> dict[str, Any]:
    keys = party.crypto.account.device_keys()
    return {name: value for name, value in keys.items() if name != "signatures"}


def _device(user_id: str, device_id: str) -> dict[str, Any]:
    return Party(user_id, device_id).crypto.account.device_keys()


def test_devices_that_do_not_work_are_few_at_once(
    monkeypatch: pytest.MonkeyPatch, alice: Party, bob: Party
) -> None:
    """Anybody can claim not to have reached this device: each time a session would be made."""
    limit(monkeypatch, "machine", MOST_WEDGED_OF_ONE=2, MOST_WEDGED=3)
    bob = again(bob)
    bob.take(_no_olm(ALICE, "key"))
    for number in range(50):
        bob.take(_no_olm(MALLORY, f"key{number}"))
        bob.take(_no_olm(f"@s{number}:evil", "key"))
    waiting = bob.crypto._wedged.drain()
    assert len(waiting) == 3 and not bob.crypto._wedged.drain()


def _no_olm(sender: str, key: str) -> dict[str, Any]:
    content = {"algorithm": "m.megolm.v1.aes-sha2", "sender_key": key, "code": "m.no_olm"}
    return {"type": "m.room_key.withheld", "sender": sender, "content": content}


def test_many_messages_at_once_leave_others_their_turn(bob: Party) -> None:
    turns = []

    async def count() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    other = bob.loop.create_task(count())
    bob.take(*({"type": "x.note", "sender": MALLORY, "content": {}} for _ in range(1_000)))
    assert len(turns) >= 10
    other.cancel()
    bob.run(asyncio.sleep(0))
