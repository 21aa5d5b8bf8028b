"""Devices of others: followed, asked for, checked; no network."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from libmatrix.crypto.signatures import SigningKey, sign
from libmatrix.errors import EncryptionError, HomeserverError
from libmatrix.store.state import Changes
from libmatrix.sync.response import SyncResponse
from tests.support.parties import Party, again

ALICE, BOB, CAROL = "@alice:x", "@bob:far", "@carol:x"


def keys_of(*parties: Party) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for party in parties:
        crypto = party.crypto
        found.setdefault(crypto.user_id, {})[crypto.device_id] = crypto.account.device_keys()
    return {"device_keys": found}


def identity_of(user_id: str) -> tuple[SigningKey, SigningKey, dict[str, Any]]:
    """A master and a self-signing key, and what /keys/query says of them."""
    master, signer = SigningKey.create(), SigningKey.create()

    def key(usage: str, own: SigningKey) -> dict[str, Any]:
        keys = {f"ed25519:{own.public_key}": own.public_key}
        return {"user_id": user_id, "usage": [usage], "keys": keys}

    own = sign(master, key("self_signing", signer), user_id, f"ed25519:{master.public_key}")
    answer = {
        "master_keys": {user_id: key("master", master)},
        "self_signing_keys": {user_id: own},
    }
    return master, signer, answer


def asked(party: Party, end: str) -> list[Any]:
    return [body for path, body in party.api.asked if path.endswith(end)]


@pytest.fixture
def alice() -> Party:
    return Party(ALICE)


@pytest.fixture
def bob() -> Party:
    return Party(BOB, "B")


def test_asked_once_until_something_changes(alice: Party, bob: Party) -> None:
    devices = alice.crypto.devices
    alice.api.answers["keys/query"] = keys_of(bob)
    alice.run(devices.refresh([BOB]))
    alice.run(devices.refresh([BOB]))
    assert len(asked(alice, "/keys/query")) == 1
    assert list(devices.of(BOB)) == ["B"]
    # Kept: another machine on the same store asks nothing, and what is outdated stays so.
    devices.take_changes([BOB, "@nobody:x"], [])
    alice.crypto.store.flush()
    again = Party(ALICE, state=alice.state).crypto.devices
    assert list(again.of(BOB)) == ["B"] and not again.is_current(BOB)
    devices.take_changes([], [BOB])
    assert not devices.is_current(BOB)


def test_a_change_while_it_is_asked_is_not_lost(alice: Party, bob: Party) -> None:
    devices = alice.crypto.devices

    def answer(_: Any) -> Any:
        devices.invalidate(BOB)
        return keys_of(bob)

    alice.api.answers["keys/query"] = answer
    alice.run(devices.refresh([BOB]))
    assert not devices.is_current(BOB) and devices.of(BOB)


def test_a_homeserver_that_is_away_is_asked_later(alice: Party, bob: Party) -> None:
    devices = alice.crypto.devices
    alice.api.answers["keys/query"] = {"failures": {"far": {}}}
    alice.run(devices.refresh([BOB]))
    alice.run(devices.refresh([BOB]))
    assert len(asked(alice, "/keys/query")) == 1
    assert not devices.is_current(BOB)
    # It gives a sign of life.
    devices.invalidate(BOB)
    alice.api.answers["keys/query"] = keys_of(bob)
    alice.run(devices.refresh([BOB]))
    assert devices.is_current(BOB) and devices.of(BOB)


def test_an_exchanged_key_is_refused_and_reported(alice: Party, bob: Party) -> None:
    devices = alice.crypto.devices
    alice.api.answers["keys/query"] = keys_of(bob)
    alice.run(devices.refresh([BOB]))
    alice.api.answers["keys/query"] = keys_of(Party(BOB, "B"))
    alice.run(devices.refresh([BOB], force=True))
    assert devices.of(BOB)["B"].ed25519 == bob.crypto.account.ed25519
    assert alice.log.lines[-1][2] == "E_DEVICE_KEYS"
    assert "exchanged" in alice.log.lines[-1][1]
    # A device that is gone may be followed by another of its name.
    alice.api.answers["keys/query"] = {"device_keys": {BOB: {}}}
    alice.run(devices.refresh([BOB], force=True))
    assert not devices.of(BOB)


def test_false_keys_of_our_own_device_are_refused(alice: Party) -> None:
    alice.api.answers["keys/query"] = keys_of(Party(ALICE))
    alice.run(alice.crypto.devices.refresh([ALICE], force=True))
    assert not alice.crypto.devices.of(ALICE)
    assert alice.log.lines[-1][2] == "E_DEVICE_KEYS"


@pytest.mark.parametrize("field", ["user_id", "device_id", "keys", "algorithms", "signatures"])
@pytest.mark.parametrize("value", [None, 7, "x", [], {}, {"a": {"b": "c"}}])
def test_malformed_devices_are_left_out(alice: Party, bob: Party, field: str, value: Any) -> None:
    answer = keys_of(bob)
    answer["device_keys"][BOB]["X"] = {**answer["device_keys"][BOB]["B"], field: value}
    answer["device_keys"][BOB]["Y"] = value
    alice.api.answers["keys/query"] = answer
    alice.run(alice.crypto.devices.refresh([BOB]))
    assert list(alice.crypto.devices.of(BOB)) == ["B"]


def test_cross_signing_keys_are_checked(alice: Party, bob: Party) -> None:
    master, signer, answer = identity_of(BOB)
    keys = bob.crypto.account.device_keys()
    signed = sign(signer, keys, BOB, f"ed25519:{signer.public_key}")
    alice.api.answers["keys/query"] = {"device_keys": {BOB: {"B": signed}}, **answer}
    alice.run(alice.crypto.devices.refresh([BOB]))
    assert alice.crypto.devices.of(BOB)["B"].is_cross_signed
    identity = alice.crypto.devices.identity(BOB)
    assert identity is not None and identity.master_key == master.public_key == identity.pinned
    # A self-signing key that the master has not signed is none.
    forged = json.loads(json.dumps(answer))
    forged["self_signing_keys"][BOB] = identity_of(BOB)[2]["self_signing_keys"][BOB]
    alice.api.answers["keys/query"] = {"device_keys": {BOB: {"B": signed}}, **forged}
    alice.run(alice.crypto.devices.refresh([BOB], force=True))
    assert not alice.crypto.devices.of(BOB)["B"].is_cross_signed
    # Another master is another identity; the pinned one stays known.
    other, _, answer = identity_of(BOB)
    alice.api.answers["keys/query"] = {"device_keys": {BOB: {"B": signed}}, **answer}
    alice.run(alice.crypto.devices.refresh([BOB], force=True))
    identity = alice.crypto.devices.identity(BOB)
    assert identity is not None and identity.has_changed
    assert (identity.master_key, identity.pinned) == (other.public_key, master.public_key)


# -- one-time keys --------------------------------------------------------------------------------


def claimable(party: Party, key_id: str = "signed_curve25519:AAAA") -> dict[str, Any]:
    account = party.crypto.account
    account.olm.generate_one_time_keys(1)
    key = next(iter(account.olm.one_time_keys.values())).to_base64()
    account.olm.mark_keys_as_published()
    return {key_id: account.sign({"key": key})}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda keys: {},
        lambda keys: [],
        lambda keys: {name: {**key, "key": key["key"][::-1]} for name, key in keys.items()},
        lambda keys: {name: {"key": key["key"]} for name, key in keys.items()},
        lambda keys: {name: key["key"] for name, key in keys.items()},
        lambda keys: {"curve25519:AAAA": next(iter(keys.values()))},
        lambda keys: claimable(Party(BOB, "B")),
    ],
)
def test_a_claimed_key_must_be_signed(alice: Party, bob: Party, spoil: Any) -> None:
    """What is no key of the device is refused; the device is tried again, but not at once."""
    alice.knows(bob)
    device = bob.device()
    bad = {"one_time_keys": {BOB: {"B": spoil(claimable(bob))}}}
    alice.api.answers["keys/claim"] = bad
    assert alice.run(alice.crypto.claims.ensure([device])) == [device]
    assert alice.run(alice.crypto.claims.ensure([device])) == [device]
    assert len(asked(alice, "/keys/claim")) == 1
    alice.crypto.claims.forgive(device.curve25519)
    alice.api.answers["keys/claim"] = {"one_time_keys": {BOB: {"B": claimable(bob)}}}
    assert alice.run(alice.crypto.claims.ensure([device])) == []
    bob.knows(alice)
    assert bob.take(alice.seal(bob, "x.note", {"a": 1}))


def test_a_claim_that_fails_costs_nobody_else(alice: Party, bob: Party) -> None:
    third = Party("@carol:x", "C")
    alice.knows(bob, third)
    alice.api.answers["keys/claim"] = {
        "failures": {"far": {}},
        "one_time_keys": {"@carol:x": {"C": claimable(third)}},
    }
    lost = alice.run(alice.crypto.claims.ensure([bob.device(), third.device()]))
    assert [device.user_id for device in lost] == [BOB]


def test_keys_are_topped_up_also_from_none(alice: Party) -> None:
    account = alice.crypto.account
    alice.api.answers["keys/query"] = {}
    alice.api.answers["keys/upload"] = {"one_time_key_counts": {"signed_curve25519": 50}}
    # It counts keys of a device that was never here.
    account.take_counts({"signed_curve25519": 50}, None)
    alice.run(alice.crypto.ready())
    first = asked(alice, "/keys/upload")[0]
    assert first["device_keys"]["device_id"] == "D"
    assert (len(first["one_time_keys"]), len(first["fallback_keys"])) == (50, 1)
    assert not account.needs_upload
    account.take_counts({"signed_curve25519": 20}, ["signed_curve25519"])
    alice.run(account.upload())
    assert len(asked(alice, "/keys/upload")[1]["one_time_keys"]) == 30
    # What the homeserver does not name is used up.
    account.take_counts({}, ["signed_curve25519"])
    alice.run(account.upload())
    assert len(asked(alice, "/keys/upload")[2]["one_time_keys"]) == 50
    account.take_counts(None, None)
    assert not account.needs_upload


def test_an_upload_nobody_answered_is_repeated_as_it_was(alice: Party) -> None:
    alice.api.answers["keys/query"] = {}
    alice.api.answers["keys/upload"] = lambda body: 1 / 0
    with pytest.raises(ZeroDivisionError):
        alice.run(alice.crypto.ready())
    again = Party(ALICE, state=alice.state)
    again.api.answers = {
        "keys/query": {},
        "keys/upload": {"one_time_key_counts": {"signed_curve25519": 50}},
    }
    again.run(again.crypto.ready())
    assert asked(again, "/keys/upload") == asked(alice, "/keys/upload")


def test_keys_of_a_lost_store_are_not_replaced(alice: Party) -> None:
    """Others would never trust the device again; it has to be a new one."""
    alice.api.answers["keys/query"] = keys_of(Party(ALICE))
    with pytest.raises(EncryptionError, match="not in this store"):
        alice.run(alice.crypto.ready())
    assert not asked(alice, "/keys/upload")


# -- what syncs did not tell ----------------------------------------------------------------------


@pytest.fixture
def met(alice: Party, bob: Party) -> Party:
    """Alice, who knows Bob's devices as of her first sync, and Carol's."""
    alice.take(token="s1")
    alice.knows(bob, Party(CAROL))
    alice.api.asked.clear()
    return alice


def missed(party: Party, token: str) -> None:
    """A sync without encryption."""
    changes = Changes()
    changes.next_batch = token
    party.state.commit(changes)


def test_nothing_is_asked_while_one_sync_follows_another(met: Party) -> None:
    for token in ("s2", "s2", "s3"):
        met.take(token=token)
    assert not asked(met, "/keys/changes")
    after = again(met)
    after.take(token="s4")
    assert not asked(after, "/keys/changes") and after.crypto.devices.is_current(BOB)


def test_only_what_changed_meanwhile_is_outdated(met: Party) -> None:
    met.take(token="s2")
    missed(met, "s3")
    after = again(met)
    after.api.answers["keys/changes"] = {"changed": [BOB, "@nobody:x"], "left": []}
    after.take(token="s4")
    assert asked(after, "/keys/changes") == [[["from", "s2"], ["to", "s4"]]]
    assert not after.crypto.devices.is_current(BOB) and after.crypto.devices.is_current(CAROL)
    after.take(token="s5")
    assert len(asked(after, "/keys/changes")) == 1


def test_a_broken_list_of_changes_is_asked_for(met: Party) -> None:
    met.api.answers["keys/changes"] = {"changed": [BOB], "left": [CAROL]}
    met.take(token="s2", is_whole=True)
    assert asked(met, "/keys/changes") == [[["from", "s1"], ["to", "s2"]]]
    assert not met.crypto.devices.is_current(BOB)
    users = {user for user, _ in met.crypto.store.users.places()}
    assert users == {ALICE, BOB}, "Carol is met no more"


def refuse(_: Any) -> Any:
    raise HomeserverError("no such token", code="M_UNKNOWN")


@pytest.mark.parametrize("answer", [refuse, {"changed": 7}, [], {"changed": [7]}])
def test_everybody_is_asked_for_when_that_cannot_be_known(met: Party, answer: Any) -> None:
    met.take(token="s2")
    missed(met, "s3")
    met.api.answers["keys/changes"] = answer
    met.take(token="s4")
    devices = met.crypto.devices
    assert not devices.is_current(BOB) and not devices.is_current(CAROL)
    met.take(token="s5")
    assert len(asked(met, "/keys/changes")) == 1


def test_a_homeserver_that_is_slow_to_tell_changes_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, met: Party
) -> None:
    monkeypatch.setattr("libmatrix.crypto.device_lists._SECONDS", 0.01)
    missed(met, "s3")

    async def never(*_: Any, **__: Any) -> bytes:
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr(met.api, "call", never)
    met.take(token="s4")
    assert not met.crypto.devices.is_current(BOB)


def test_a_sync_that_was_not_committed_is_no_gap(met: Party) -> None:
    """The client ends before the host has consumed it."""
    changes = Changes()
    met.run(met.crypto.take_sync(SyncResponse(next_batch="s2"), changes, is_whole=False))
    met.crypto.store.flush()
    after = again(met)
    after.take(token="s2")
    assert not asked(after, "/keys/changes") and after.crypto.devices.is_current(BOB)
