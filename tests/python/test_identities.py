"""Users' identities: which are believed, and what happens when they change."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from libmatrix.crypto.identities import Identities, read_query
from libmatrix.crypto.identity import read_identity, read_key
from libmatrix.crypto.signatures import sign
from tests.support.identities import MemoryTable, User

_OWN, _OTHER = "@own:localhost", "@other:localhost"


class Setting:
    """Oneself, another user, and what is known of both."""

    def __init__(self) -> None:
        self.own, self.other = User(_OWN), User(_OTHER)
        self.table, self.values = MemoryTable(), MemoryTable()
        self.identities = self.reopened()

    def reopened(self) -> Identities:
        return Identities(self.table, self.values, _OWN)

    def trust_own(self) -> None:
        assert self.identities.take(*self.own.answer) is None
        self.identities.trust_own(self.own.master.public_key)


def test_users_without_an_identity_are_unknown() -> None:
    identities = Setting().identities
    assert identities.trust_of(_OTHER) == "unknown" and identities.of(_OTHER) is None
    assert not identities.accept(_OTHER)
    assert not identities.is_own_trusted and identities.own is None


def test_ones_own_identity_is_not_trusted_because_a_homeserver_says_so() -> None:
    setting = Setting()
    setting.identities.take(*setting.own.answer)
    assert setting.identities.trust_of(_OWN) == "unverified"
    setting.own.verify(setting.other)
    setting.identities.take(*setting.other.answer)
    assert setting.identities.trust_of(_OTHER) == "unverified"
    setting.identities.trust_own(setting.own.master.public_key)
    assert setting.identities.trust_of(_OWN) == "verified"
    assert setting.identities.trust_of(_OTHER) == "verified"
    assert setting.reopened().trust_of(_OTHER) == "verified"


def test_a_user_is_verified_by_ones_own_signature_alone() -> None:
    setting = Setting()
    setting.trust_own()
    setting.identities.take(*setting.other.answer)
    assert setting.identities.trust_of(_OTHER) == "unverified"
    User(_OWN).verify(setting.other)
    setting.identities.take(*setting.other.answer)
    assert setting.identities.trust_of(_OTHER) == "unverified"
    setting.own.verify(setting.other)
    assert setting.identities.take(*setting.other.answer) is None
    assert setting.identities.trust_of(_OTHER) == "verified"


def test_the_proof_of_a_verification_is_kept_when_the_homeserver_withholds_it() -> None:
    setting = Setting()
    setting.trust_own()
    without = copy.deepcopy(setting.other.master_raw)
    setting.own.verify(setting.other)
    setting.identities.take(*setting.other.answer)
    for signatures in ({}, {_OWN: {}}, {_OWN: {"ed25519:x": "y"}}):
        setting.other.master_raw = {**without, "signatures": signatures}
        setting.identities.take(*setting.other.answer)
        assert setting.reopened().trust_of(_OTHER) == "verified"


def test_an_identity_that_changes_is_reported_until_it_is_accepted() -> None:
    setting = Setting()
    setting.trust_own()
    setting.identities.take(*setting.other.answer)
    again = User(_OTHER)
    change = setting.identities.take(*again.answer)
    assert change is not None and not change.was_verified
    assert change.old_master_key == setting.other.master.public_key
    assert change.master_key == again.master.public_key
    assert setting.identities.trust_of(_OTHER) == "changed"
    assert setting.identities.take(*again.answer) is None
    assert setting.reopened().trust_of(_OTHER) == "changed"
    assert setting.identities.accept(_OTHER)
    assert setting.reopened().trust_of(_OTHER) == "unverified"


def test_a_verified_user_with_another_identity_is_a_violation() -> None:
    setting = Setting()
    setting.trust_own()
    setting.own.verify(setting.other)
    setting.identities.take(*setting.other.answer)
    assert setting.identities.trust_of(_OTHER) == "verified"
    again = User(_OTHER)
    change = setting.identities.take(*again.answer)
    assert change is not None and change.was_verified
    assert setting.reopened().trust_of(_OTHER) == "violated"
    # The old one is as good as it was.
    setting.identities.take(*setting.other.answer)
    assert setting.identities.trust_of(_OTHER) == "verified"
    setting.identities.take(*again.answer)
    assert setting.identities.accept(_OTHER)
    assert setting.identities.trust_of(_OTHER) == "unverified"


def test_verifying_the_new_identity_settles_it() -> None:
    setting = Setting()
    setting.trust_own()
    setting.identities.take(*setting.other.answer)
    again = User(_OTHER)
    setting.identities.take(*again.answer)
    setting.own.verify(again)
    setting.identities.take(*again.answer)
    assert setting.identities.trust_of(_OTHER) == "verified"
    del again.master_raw["signatures"]
    assert setting.reopened().trust_of(_OTHER) == "verified"


def test_a_new_identity_of_ones_own_is_not_trusted() -> None:
    setting = Setting()
    setting.trust_own()
    change = setting.identities.take(*User(_OWN).answer)
    assert change is not None and change.user_id == _OWN
    assert not setting.identities.is_own_trusted


def test_an_identity_cannot_be_taken_away() -> None:
    setting = Setting()
    setting.identities.take(*setting.other.answer)
    for master in (None, {}, "x", {**setting.other.master_raw, "user_id": _OWN}):
        assert setting.identities.take(_OTHER, master) is None
    assert setting.identities.of(_OTHER) is not None


def test_devices_belong_to_whom_their_owner_vouches_for() -> None:
    setting = Setting()
    setting.identities.take(*setting.other.answer)
    device = setting.other.device("DEVICE")
    assert setting.identities.is_cross_signed(_OTHER, device)
    assert not setting.identities.is_cross_signed(_OTHER, {**device, "device_id": "OTHER"})
    assert not setting.identities.is_cross_signed(_OTHER, User(_OTHER).device("DEVICE"))
    assert not setting.identities.is_cross_signed(_OWN, device)
    assert not setting.identities.is_cross_signed(_OTHER, None)
    stolen = sign(
        setting.other.self_signing,
        {"user_id": _OWN, "device_id": "D"},
        _OTHER,
        f"ed25519:{setting.other.self_signing.public_key}",
    )
    assert not setting.identities.is_cross_signed(_OTHER, stolen)


def test_keys_that_the_master_key_did_not_sign_do_not_count() -> None:
    user, strange = User(_OTHER), User(_OTHER)
    identity = read_identity(
        _OTHER, user.master_raw, strange.self_signing_raw, user.user_signing_raw
    )
    assert identity is not None and identity.self_signing is None
    assert identity.user_signing is not None
    assert not identity.owns_device(strange.device("D"))
    swapped = read_identity(_OTHER, user.master_raw, user.user_signing_raw, user.self_signing_raw)
    assert swapped is not None and swapped.self_signing is None and swapped.user_signing is None


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": _OWN},
        {"user_id": 5},
        {"usage": "master"},
        {"usage": []},
        {"usage": None},
        {"keys": {}},
        {"keys": []},
        {"keys": {"ed25519:a": "b"}},
        {"keys": {"ed25519:": ""}},
        {"keys": {"ed25519:a": 5}},
        {"keys": {"ed25519:a": "a", "ed25519:b": "b"}},
        {"keys": {"ed25519:" + "a" * 200: "a" * 200}},
    ],
)
def test_keys_of_another_shape_are_none(change: dict[str, Any]) -> None:
    raw = {**User(_OTHER).master_raw, **change}
    assert read_key(raw, _OTHER, "master") is None
    assert read_identity(_OTHER, raw, None, None) is None


def test_an_answer_of_any_shape_is_read() -> None:
    user = User(_OTHER)
    answer = {"master_keys": {_OTHER: user.master_raw}, "self_signing_keys": []}
    assert list(read_query(answer)) == [(_OTHER, user.master_raw, None, None)]
    for wrong in (None, [], {}, {"master_keys": "x"}):
        assert list(read_query(wrong)) == []
