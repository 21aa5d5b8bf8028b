"""What hostile homeservers and users try with devices and identities; no network."""

from __future__ import annotations

from typing import Any

import pytest
from vodozemac import GroupSession

from libmatrix.crypto.signatures import SigningKey, encode_base64, sign
from libmatrix.crypto.trust_levels import Policy
from libmatrix.errors import IdentityExistsError, MissingSecretError
from tests.support.parties import (
    ALICE,
    BOB,
    Party,
    encryption,
    megolm_event,
    refresh,
)


def test_a_blocked_device_stays_so_when_the_homeserver_hides_it_for_a_while(
    alice: Party, bob: Party
) -> None:
    devices = bob.crypto.devices
    device = alice.device()
    device.is_blocked = True
    devices.put(device)
    for keys in ({}, {"D": alice.crypto.account.device_keys()}):
        bob.api.answers["keys/query"] = {"device_keys": {ALICE: keys}}
        bob.run(devices.refresh([ALICE], force=True))
    assert devices.of(ALICE)["D"].is_blocked
    bob.crypto.store.flush()
    assert Party(BOB, state=bob.state).crypto.devices.of(ALICE)["D"].is_blocked


def test_a_device_that_claims_anothers_key_silences_nobody(bob: Party) -> None:
    """Nobody has to hold the Curve25519 key that a device publishes."""
    alice = Party(ALICE, "Z")
    alice.knows(bob)
    alice.meet(bob)
    real = alice.crypto.account.device_keys()
    key = SigningKey.create()
    claimed = real["keys"]["curve25519:Z"]
    keys = {"ed25519:A": key.public_key, "curve25519:A": claimed}
    fake = {"user_id": ALICE, "device_id": "A", "algorithms": [], "keys": keys}
    fake = sign(key, fake, ALICE, "ed25519:A")
    refresh(bob, {"device_keys": {ALICE: {"A": fake, "Z": real}}})
    assert list(bob.crypto.devices.of(ALICE)) == ["A", "Z"]
    session = GroupSession()
    bob.take(alice.seal(bob, "m.room_key", alice.room_key(session)))
    assert encryption(bob, megolm_event(ALICE, session))["sender_device_id"] == "Z"


class Keys:
    """Cross-signing keys of one user."""

    def __init__(self, user_id: str, signer: SigningKey | None = None) -> None:
        self.user_id = user_id
        self.master, self.signer = SigningKey.create(), signer or SigningKey.create()

    def answer(self, *parties: Party) -> dict[str, Any]:
        """What /keys/query says; the devices are signed."""
        devices = {}
        for party in parties:
            keys = party.crypto.account.device_keys()
            name = f"ed25519:{self.signer.public_key}"
            devices[party.crypto.device_id] = sign(self.signer, keys, self.user_id, name)
        own = self._key("self_signing", self.signer)
        name = f"ed25519:{self.master.public_key}"
        return {
            "device_keys": {self.user_id: devices},
            "master_keys": {self.user_id: self._key("master", self.master)},
            "self_signing_keys": {self.user_id: sign(self.master, own, self.user_id, name)},
        }

    def _key(self, usage: str, key: SigningKey) -> dict[str, Any]:
        keys = {f"ed25519:{key.public_key}": key.public_key}
        return {"user_id": self.user_id, "usage": [usage], "keys": keys}


def test_a_verified_user_with_another_identity_gets_no_keys(alice: Party, bob: Party) -> None:
    """The homeserver gives Alice another identity, which vouches for a device of its own."""
    refresh(bob, Keys(ALICE).answer(alice))
    identity = bob.crypto.devices.identity(ALICE)
    assert identity is not None
    bob.crypto.trust.believe(identity)
    policy = Policy(bob.crypto, "cross_signed", "cross_signed")
    evil = Party(ALICE, "EVIL")
    device = bob.crypto.devices.of(ALICE)["D"]
    assert policy.withholds(device) is None
    refresh(bob, Keys(ALICE).answer(alice, evil))
    found = bob.crypto.devices.of(ALICE)["EVIL"]
    assert found.is_cross_signed and policy.withholds(found) == "m.unverified"
    evil.meet(bob)
    session = GroupSession()
    bob.take(evil.seal(bob, "m.room_key", evil.room_key(session)))
    assert encryption(bob, megolm_event(ALICE, session))["shield_reason"] == "identity_changed"
    bob.crypto.policy = policy
    bob.crypto.trust_stamp += 1
    assert bob.code(megolm_event(ALICE, session, number=2)) == "untrusted_device"
    # It is for the user to accept it.
    identity = bob.crypto.devices.identity(ALICE)
    assert identity is not None
    bob.crypto.trust.accept(identity)
    assert policy.withholds(bob.crypto.devices.of(ALICE)["EVIL"]) is None


def test_a_master_key_is_not_trusted_for_what_it_has_signed(bob: Party) -> None:
    """The homeserver has its own master key vouch for the real self-signing key.

    And it hides the real master key that is in secret storage.
    """
    signer = SigningKey.create()
    evil = Keys(BOB, signer)
    bob.api.answers["keys/upload"] = {"one_time_key_counts": {"signed_curve25519": 50}}
    bob.api.answers["keys/query"] = evil.answer()
    secrets = {"m.cross_signing.self_signing": encode_base64(signer.seed)}
    with pytest.raises(MissingSecretError):
        bob.run(bob.crypto.cross_signing.adopt(secrets))
    assert not bob.crypto.trust.is_own_trusted


def test_nothing_is_signed_for_an_identity_that_was_exchanged(bob: Party) -> None:
    """The same with a client that has the key already and is asked to bootstrap again."""
    real = Keys(BOB)
    bob.api.answers["keys/upload"] = {"one_time_key_counts": {"signed_curve25519": 50}}
    bob.api.answers["keys/query"] = real.answer()
    seeds = {
        "m.cross_signing.master": encode_base64(real.master.seed),
        "m.cross_signing.self_signing": encode_base64(real.signer.seed),
    }
    bob.run(bob.crypto.cross_signing.adopt(seeds))
    assert bob.crypto.trust.is_own_trusted
    bob.api.asked.clear()
    bob.api.answers["keys/query"] = Keys(BOB, real.signer).answer()

    async def upload(_: Any) -> None:
        raise AssertionError

    with pytest.raises(IdentityExistsError):
        bob.run(bob.crypto.cross_signing.bootstrap(upload, reset=False))
    assert not [path for path, _ in bob.api.asked if "signatures" in path]
    assert not bob.crypto.trust.is_own_trusted
