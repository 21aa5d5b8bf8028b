"""Verifications by QR codes, between two ends in this process."""

from __future__ import annotations

import pytest

from libmatrix.crypto.verification import contents
from libmatrix.errors import ArgumentError
from tests.support.verification_ends import (
    ALICE,
    ALL_METHODS,
    BOB,
    OTHER_ALICE,
    Pair,
)


def scan(pair: Pair, shower: str, scanner: str) -> None:
    """One end scans what the other shows, whose host then agrees."""
    data = getattr(pair, shower).show_qr()
    getattr(pair, scanner).scan_qr(data)
    pair.carry()
    assert getattr(pair, shower).state == "comparing"
    assert getattr(pair, scanner).state == "confirmed"
    getattr(pair, shower).confirm()
    pair.carry()
    assert (pair.a.state, pair.b.state) == ("done", "done")


@pytest.mark.parametrize("room", [False, True])
@pytest.mark.parametrize("shower, scanner", [("a", "b"), ("b", "a")])
def test_users_scan(room: bool, shower: str, scanner: str) -> None:
    pair = Pair(room=room)
    pair.agree(ALL_METHODS)
    scan(pair, shower, scanner)
    for end, other in ((pair.a, BOB), (pair.b, ALICE)):
        master = pair.keys[other].masters[other.user_id]
        assert end.verified is not None
        assert end.verified.keys == {f"ed25519:{master}": master}


@pytest.mark.parametrize("shower, scanner", [("a", "b"), ("b", "a")])
def test_own_new_device_scans_and_is_scanned(shower: str, scanner: str) -> None:
    pair = Pair(ALICE, OTHER_ALICE)
    pair.keys[OTHER_ALICE].is_trusting = False
    pair.agree(ALL_METHODS)
    scan(pair, shower, scanner)
    master = pair.keys[ALICE].masters[ALICE.user_id]
    assert pair.a.verified is not None and pair.b.verified is not None
    device_key = pair.keys[OTHER_ALICE].device_key
    assert pair.a.verified.keys == {f"ed25519:{OTHER_ALICE.device_id}": device_key}
    assert pair.b.verified.keys == {f"ed25519:{master}": master}


def test_layout_of_a_code() -> None:
    pair = Pair()
    pair.agree(ALL_METHODS)
    data = pair.a.show_qr()
    assert data[:6] == b"MATRIX" and data[6:8] == b"\x02\x00"
    size = int.from_bytes(data[8:10], "big")
    assert data[10 : 10 + size] == pair.id.encode()
    assert len(data) > 10 + size + 64 + 7
    assert data == pair.a.show_qr()


@pytest.mark.parametrize("place", [-70, -40, 12])
def test_code_with_another_key_is_refused(place: int) -> None:
    pair = Pair()
    pair.agree(ALL_METHODS)
    data = bytearray(pair.a.show_qr())
    data[place] ^= 1
    if place > 0:
        with pytest.raises(ArgumentError, match="another verification"):
            pair.b.scan_qr(bytes(data))
        assert pair.b.state == "ready"
        return
    pair.b.scan_qr(bytes(data))
    pair.carry()
    assert pair.a.cancel_code == pair.b.cancel_code == "m.key_mismatch"


def test_start_with_another_secret_is_an_attack() -> None:
    pair = Pair()
    pair.agree(ALL_METHODS)
    data = bytearray(pair.a.show_qr())
    data[-1] ^= 1
    pair.b.scan_qr(bytes(data))
    pair.carry()
    assert pair.a.cancel_code == "m.key_mismatch"
    assert pair.a.verified is None and pair.b.verified is None


def test_who_shows_may_say_no() -> None:
    pair = Pair()
    pair.agree(ALL_METHODS)
    pair.b.scan_qr(pair.a.show_qr())
    pair.carry()
    pair.a.mismatch()
    pair.carry()
    assert pair.b.state == "cancelled" and pair.b.verified is None


@pytest.mark.parametrize(
    "data", [b"", b"MATRIX", b"MATRIX\x02\x09" + bytes(200), b"\xff" * 300, bytes(5000)]
)
def test_other_codes_are_no_verification(data: bytes) -> None:
    pair = Pair()
    pair.agree(ALL_METHODS)
    with pytest.raises(ArgumentError, match="data: "):
        pair.a.scan_qr(data)
    assert pair.a.state == "ready"


def test_device_that_trusts_nobody_shows_no_code_to_others() -> None:
    pair = Pair()
    pair.keys[ALICE].is_trusting = False
    pair.agree(ALL_METHODS)
    with pytest.raises(ArgumentError):
        pair.a.show_qr()
    pair.a.scan_qr(pair.b.show_qr())
    assert pair.a.cancel_code == "m.key_mismatch"


def test_codes_need_both_sides() -> None:
    pair = Pair()
    pair.ask([contents.SAS, contents.SHOW, contents.RECIPROCATE])
    pair.b.accept([contents.SAS, contents.SHOW, contents.RECIPROCATE])
    pair.carry()
    with pytest.raises(ArgumentError, match=r"m\.qr_code\.show\.v1"):
        pair.a.show_qr()
    pair.a.start_sas()
