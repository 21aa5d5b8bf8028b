"""Verifications between two ends in this process, and against the specification's formulas."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libmatrix.crypto.verification import contents
from libmatrix.crypto.verification.contents import Message, Party
from libmatrix.crypto.verification.emoji import EMOJI
from libmatrix.crypto.verification.flow import Verification
from libmatrix.errors import ArgumentError
from tests.support.verification_ends import (
    ALICE,
    ALL_METHODS,
    BOB,
    OTHER_ALICE,
    SAS_ONLY,
    Formulas,
    Keys,
    Pair,
    new_key,
)


def run_sas(pair: Pair) -> None:
    """From ready to the strings on both sides."""
    pair.a.start_sas()
    pair.carry()
    assert (pair.a.state, pair.b.state) == ("comparing", "comparing")


def strings(end: Verification) -> tuple[Any, Any]:
    assert end.steps is not None
    return end.steps.sas.emoji, end.steps.sas.decimals


@pytest.mark.parametrize("room", [False, True])
@pytest.mark.parametrize("second", [BOB, OTHER_ALICE])
@pytest.mark.parametrize("starter", ["a", "b"])
def test_whole_flow(room: bool, second: Party, starter: str) -> None:
    pair = Pair(ALICE, second, room=room)
    pair.agree()
    getattr(pair, starter).start_sas()
    pair.carry()
    assert strings(pair.a) == strings(pair.b)
    emoji, decimals = strings(pair.a)
    assert len(emoji) == 7 and len(decimals) == 3
    assert all(1000 <= number <= 9191 for number in decimals)
    pair.a.confirm()
    pair.carry()
    assert (pair.a.state, pair.b.state) == ("confirmed", "comparing")
    pair.b.confirm()
    pair.carry()
    assert (pair.a.state, pair.b.state) == ("done", "done")
    for end, other in ((pair.a, pair.second), (pair.b, pair.first)):
        assert end.verified is not None
        assert end.verified.party == other
        assert end.verified.keys == pair.keys[other].own()
        assert len(end.verified.keys) == 2
    for _, message in pair.sent:
        if room:
            relation = {"rel_type": "m.reference", "event_id": pair.id}
            assert message.content["m.relates_to"] == relation
            assert message.devices == ()
        else:
            assert message.content["transaction_id"] == pair.id
            assert len(message.devices) == 1


def test_messages_and_their_order() -> None:
    pair = Pair()
    pair.agree()
    run_sas(pair)
    pair.a.confirm()
    pair.b.confirm()
    pair.carry()
    assert pair.types() == [
        *("request", "ready", "start", "accept", "key", "key"),
        *("mac", "mac", "done", "done"),
    ]
    start = pair.sent[2][1].content
    assert start["method"] == "m.sas.v1"
    assert start["key_agreement_protocols"] == ["curve25519-hkdf-sha256"]
    assert start["message_authentication_codes"][0] == "hkdf-hmac-sha256.v2"
    accept = pair.sent[3][1].content
    assert accept["message_authentication_code"] == "hkdf-hmac-sha256.v2"
    assert accept["short_authentication_string"] == ["decimal", "emoji"]


def test_against_the_formulas_of_the_specification() -> None:
    own = Keys(ALICE, new_key())
    other = Keys(BOB, new_key())
    own.meet(other)
    end = Verification(
        ALICE, BOB.user_id, "T", own, is_outgoing=True, expires_ms=1, devices=(BOB.device_id,)
    )
    end.request(SAS_ONLY, 1)
    end.receive(contents.READY, {"from_device": BOB.device_id, "methods": SAS_ONLY})
    end.start_sas()
    start = end.outbox[-1].content
    canonical = json.dumps(start, separators=(",", ":"), sort_keys=True)
    theirs = Formulas(BOB, ALICE, "T")
    accept = {
        "key_agreement_protocol": "curve25519-hkdf-sha256",
        "hash": "sha256",
        "message_authentication_code": "hkdf-hmac-sha256.v2",
        "short_authentication_string": ["emoji", "decimal"],
        "commitment": theirs.commitment(canonical),
    }
    end.receive(contents.ACCEPT, accept)
    theirs.agree(end.outbox[-1].content["key"])
    end.receive(contents.KEY, {"key": theirs.public_key})
    assert end.steps is not None
    numbers, decimals = theirs.strings()
    assert list(end.steps.sas.emoji_indices) == numbers
    assert end.steps.sas.emoji == [EMOJI[number] for number in numbers]
    assert list(end.steps.sas.decimals) == decimals

    end.confirm()
    sent = end.outbox[-1]
    assert sent.type == contents.MAC
    ids = sorted(own.own())
    assert sorted(sent.content["mac"]) == ids
    assert sent.content["keys"] == theirs.mac(",".join(ids), "KEY_IDS", of_other=True)
    for key_id, key in own.own().items():
        assert sent.content["mac"][key_id] == theirs.mac(key, key_id, of_other=True)
    end.receive(contents.MAC, theirs.macs(other.own()))
    assert end.outbox[-1].type == contents.DONE
    end.receive(contents.DONE, {})
    assert end.state == "done" and end.verified is not None
    assert end.verified.keys == other.own()


def test_table_of_emoji() -> None:
    assert len(EMOJI) == 64 and len(set(EMOJI)) == 64
    assert (EMOJI[0], EMOJI[34], EMOJI[63]) == (
        ("🐶", "Dog"), ("🔧", "Spanner"), ("📌", "Pin")
    )  # fmt: skip


def test_old_mac_is_used_only_where_nothing_better_is_known() -> None:
    pair = Pair()
    pair.agree()
    pair.a.start_sas()
    [start] = pair.a.outbox
    start.content["message_authentication_codes"] = ["hkdf-hmac-sha256"]
    pair.carry()
    assert pair.a.steps is not None and pair.b.steps is not None
    assert pair.a.steps.sas.mac_method == pair.b.steps.sas.mac_method == "hkdf-hmac-sha256"
    pair.a.confirm()
    pair.b.confirm()
    pair.carry()
    assert (pair.a.state, pair.b.state) == ("done", "done")


# -- both at once ---------------------------------------------------------------------------------


@pytest.mark.parametrize("second, winner", [(BOB, "a"), (OTHER_ALICE, "a")])
@pytest.mark.parametrize("first_asks", [True, False])
def test_both_start_and_the_smaller_name_counts(
    second: Party, winner: str, first_asks: bool
) -> None:
    pair = Pair(ALICE, second) if first_asks else Pair(second, ALICE)
    pair.agree()
    pair.a.start_sas()
    pair.b.start_sas()
    pair.carry()
    alice, other = pair.ends[ALICE], pair.ends[second]
    assert (alice.state, other.state) == ("comparing", "comparing")
    assert strings(alice) == strings(other)
    assert alice.steps is not None and other.steps is not None
    assert alice.steps.is_starter and not other.steps.is_starter
    pair.a.confirm()
    pair.b.confirm()
    pair.carry()
    assert (alice.state, other.state) == ("done", "done")


def test_both_start_with_different_methods() -> None:
    pair = Pair()
    pair.agree(ALL_METHODS)
    pair.a.scan_qr(pair.b.show_qr())
    pair.b.start_sas()
    pair.carry()
    assert pair.a.state == pair.b.state == "cancelled"
    assert pair.a.cancel_code == pair.b.cancel_code == "m.unexpected_message"


def test_start_after_the_other_has_started_goes_on() -> None:
    pair = Pair()
    pair.agree()
    pair.a.start_sas()
    pair.carry_one(pair.first)
    pair.b.start_sas()
    pair.carry()
    assert pair.types().count("start") == 1
    assert pair.b.state == "comparing"


def test_both_cancel_at_once() -> None:
    pair = Pair()
    pair.agree()
    pair.a.cancel()
    pair.b.cancel("m.user", "not now")
    pair.carry()
    assert pair.a.cancel_reason != pair.b.cancel_reason == "not now"
    assert not pair.a.is_cancelled_by_other and not pair.b.is_cancelled_by_other


# -- the host says no -----------------------------------------------------------------------------


def test_mismatch() -> None:
    pair = Pair()
    pair.agree()
    run_sas(pair)
    pair.b.confirm()
    pair.carry()
    pair.a.mismatch()
    pair.carry()
    assert pair.b.state == "cancelled" and pair.b.is_cancelled_by_other
    assert pair.a.cancel_code == pair.b.cancel_code == "m.mismatched_sas"
    assert pair.a.verified is None and pair.b.verified is None


@pytest.mark.parametrize("moment", ["requested", "ready", "started", "comparing", "confirmed"])
def test_cancel_at_every_moment(moment: str) -> None:
    pair = Pair()
    pair.ask()
    if moment != "requested":
        pair.b.accept(SAS_ONLY)
        pair.carry()
    if moment == "started":
        pair.a.start_sas()
    elif moment in ("comparing", "confirmed"):
        run_sas(pair)
    if moment == "confirmed":
        pair.a.confirm()
    assert pair.a.state == moment
    pair.a.cancel()
    pair.carry()
    assert pair.b.state == "cancelled" and pair.b.cancel_code == "m.user"
    before = len(pair.sent)
    pair.a.cancel()
    pair.b.cancel()
    pair.b.expire()
    pair.carry()
    assert len(pair.sent) == before


@pytest.mark.parametrize("call", ["start_sas", "confirm", "mismatch", "show_qr"])
def test_what_is_too_early_is_refused_and_harms_nothing(call: str) -> None:
    pair = Pair()
    pair.ask()
    with pytest.raises(ArgumentError):
        getattr(pair.b, call)()
    with pytest.raises(ArgumentError):
        pair.a.accept(SAS_ONLY)
    assert (pair.a.state, pair.b.state) == ("requested", "requested")
    pair.b.accept(SAS_ONLY)
    with pytest.raises(ArgumentError):
        pair.b.accept(SAS_ONLY)


# -- the other side lies --------------------------------------------------------------------------


def changed(kind: str, **fields: Any) -> Any:
    """Changes fields of one type of message."""

    def tamper(message: Message) -> Message:
        if message.type != kind:
            return message
        return message._replace(content={**message.content, **fields})

    return tamper


@pytest.mark.parametrize(
    "kind, fields, code",
    [
        (contents.ACCEPT, {"commitment": "A" * 43}, "m.mismatched_commitment"),
        (contents.ACCEPT, {"hash": "md5"}, "m.unknown_method"),
        (contents.ACCEPT, {"key_agreement_protocol": "curve25519"}, "m.unknown_method"),
        (contents.ACCEPT, {"message_authentication_code": "crc32"}, "m.unknown_method"),
        (contents.ACCEPT, {"short_authentication_string": ["morse"]}, "m.unknown_method"),
        (contents.ACCEPT, {"short_authentication_string": []}, "m.unknown_method"),
        (contents.ACCEPT, {"commitment": 5}, "m.invalid_message"),
        (contents.KEY, {"key": new_key()}, "m.mismatched_commitment"),
        (contents.KEY, {"key": None}, "m.invalid_message"),
        (contents.MAC, {"keys": "A" * 43}, "m.key_mismatch"),
        (contents.MAC, {"mac": {}}, "m.key_mismatch"),
        (contents.MAC, {"mac": {"ed25519:BOBDEVICE": "A" * 43}}, "m.key_mismatch"),
        (contents.MAC, {"mac": []}, "m.invalid_message"),
        (contents.READY, {"methods": ["m.other"]}, "m.unknown_method"),
        (contents.READY, {"from_device": ""}, "m.invalid_message"),
    ],
)
def test_wrong_message_ends_it(kind: str, fields: dict[str, Any], code: str) -> None:
    pair = Pair()
    pair.tamper = changed(kind, **fields)
    pair.ask()
    pair.b.accept(SAS_ONLY)
    pair.carry()
    if not pair.a.is_over:
        pair.a.start_sas()
        pair.carry()
    if not pair.a.is_over:
        pair.a.confirm()
        pair.b.confirm()
        pair.carry()
    assert pair.a.state == "cancelled" and not pair.a.is_cancelled_by_other
    assert pair.a.cancel_code == code == pair.b.cancel_code
    assert pair.a.verified is None and pair.b.verified is None


def test_mac_of_a_key_that_is_not_the_known_one() -> None:
    pair = Pair()
    pair.keys[ALICE].known[BOB] = new_key()
    pair.agree()
    run_sas(pair)
    pair.a.confirm()
    pair.b.confirm()
    pair.carry()
    assert pair.a.cancel_code == "m.key_mismatch"


def test_weak_key_is_refused() -> None:
    pair = Pair()
    pair.agree()
    pair.b.start_sas()
    pair.tamper = changed(contents.KEY, key="A" * 43)
    pair.carry()
    assert pair.a.cancel_code == "m.invalid_message"


def test_own_key_sent_back_is_refused() -> None:
    pair = Pair()
    pair.agree()
    pair.b.start_sas()
    pair.carry_one(pair.second)
    assert pair.a.steps is not None
    pair.a.receive(contents.KEY, {"key": pair.a.steps.sas.public_key})
    assert pair.a.cancel_code == "m.invalid_message"


@pytest.mark.parametrize(
    "kind, content",
    [
        (contents.ACCEPT, {}),
        (contents.KEY, {"key": "x"}),
        (contents.MAC, {"mac": {"a": "b"}, "keys": "c"}),
        (contents.DONE, {}),
        (contents.READY, {"from_device": "BOBDEVICE", "methods": SAS_ONLY}),
        (contents.START, {"from_device": "BOBDEVICE", "method": "m.reciprocate.v1", "secret": "x"}),
    ],
)
def test_message_out_of_order_ends_it(kind: str, content: dict[str, Any]) -> None:
    pair = Pair()
    pair.agree()
    pair.a.receive(kind, content)
    assert pair.a.state == "cancelled"
    codes = ("m.unexpected_message", "m.unknown_method", "m.invalid_message")
    assert pair.a.cancel_code in codes


def test_start_of_an_unknown_method() -> None:
    pair = Pair()
    pair.agree()
    pair.a.receive(contents.START, {"from_device": BOB.device_id, "method": "m.telepathy"})
    assert pair.a.cancel_code == "m.unknown_method"


def test_start_of_a_third_device_is_nothing_to_us() -> None:
    pair = Pair(room=True)
    pair.agree()
    pair.a.receive(contents.START, {"from_device": "THIRD", "method": contents.SAS})
    assert pair.a.state == "ready" and not pair.a.outbox


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_message_at_any_time_never_verifies(data: st.DataObject) -> None:
    """An end that gets whatever comes cancels or goes on; without the real other end it never
    believes anything."""
    pair = Pair()
    pair.agree()
    if data.draw(st.booleans()):
        pair.a.start_sas()
    json_value = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
    fields = st.sampled_from(
        "from_device methods method key mac keys commitment hash code secret transaction_id "
        "message_authentication_codes short_authentication_string".split()
    )
    content = st.dictionaries(fields, json_value | st.just("BOBDEVICE") | st.just(contents.SAS))
    for _ in range(data.draw(st.integers(1, 6))):
        pair.a.receive(data.draw(st.sampled_from(contents.TYPES)), data.draw(content))
    assert pair.a.verified is None and pair.a.state != "done"
    json.dumps([message.content for message in pair.a.outbox])


# -- many devices, the clock, old clients ---------------------------------------------------------


def asking_all() -> Verification:
    keys = Keys(ALICE, new_key())
    end = Verification(
        ALICE, BOB.user_id, "T", keys, is_outgoing=True, expires_ms=1, devices=("B1", "B2", "B3")
    )
    end.request(SAS_ONLY, 1)
    [message] = end.outbox
    assert message.devices == ("B1", "B2", "B3")
    end.outbox.clear()
    return end


def test_first_device_that_agrees_is_taken_and_the_others_are_told() -> None:
    end = asking_all()
    end.receive(contents.READY, {"from_device": "B2", "methods": SAS_ONLY})
    assert (end.state, end.device_id) == ("ready", "B2")
    [told] = end.outbox
    assert (told.type, told.devices, told.content["code"]) == (
        contents.CANCEL, ("B1", "B3"), "m.accepted"
    )  # fmt: skip
    end.outbox.clear()
    end.receive(contents.READY, {"from_device": "B3", "methods": SAS_ONLY})
    assert end.state == "ready" and end.outbox[0].devices == ("B3",)
    end.outbox.clear()
    end.start_sas()
    assert end.outbox[0].devices == ("B2",)


def test_one_device_that_declines_declines_for_all() -> None:
    end = asking_all()
    end.receive(contents.CANCEL, {"code": "m.user", "reason": "no"})
    assert (end.state, end.cancel_code, end.is_cancelled_by_other) == ("cancelled", "m.user", True)
    [told] = end.outbox
    assert told.type == contents.CANCEL and told.devices == ("B1", "B2", "B3")


def test_time_is_over() -> None:
    pair = Pair()
    pair.agree()
    pair.a.expire()
    pair.carry()
    assert pair.a.cancel_code == pair.b.cancel_code == "m.timeout"


def test_prompt_that_nobody_answers_is_put_away_without_a_word() -> None:
    pair = Pair()
    pair.ask()
    pair.b.expire()
    assert (pair.b.state, pair.b.cancel_code, pair.b.outbox) == ("cancelled", "m.timeout", [])


def test_lost_last_word_does_not_take_back_what_is_proven() -> None:
    pair = Pair()
    pair.agree()
    run_sas(pair)
    pair.tamper = lambda message: None if message.type == contents.DONE else message
    pair.a.confirm()
    pair.b.confirm()
    pair.carry()
    assert (pair.a.state, pair.b.state) == ("confirmed", "done")
    pair.a.expire()
    assert pair.a.state == "done" and pair.a.verified is not None


def test_request_answered_by_another_device_of_this_user() -> None:
    pair = Pair(room=True)
    pair.ask()
    pair.b.taken_elsewhere()
    assert (pair.b.state, pair.b.cancel_code, pair.b.outbox) == ("cancelled", "m.accepted", [])
    pair = Pair(room=True)
    pair.agree()
    pair.b.taken_elsewhere()
    assert pair.b.state == "ready"


def test_start_without_a_request_waits_to_be_accepted() -> None:
    pair = Pair()
    pair.agree()
    pair.a.start_sas()
    [message] = pair.a.outbox
    pair.a.outbox.clear()
    late = pair._make(pair.second, pair.first)
    assert not late.started_alone({"from_device": "A", "method": "m.reciprocate.v1"})
    assert late.started_alone(message.content)
    assert late.state == "started" and not late.outbox
    late.accept(SAS_ONLY)
    pair.ends[pair.second] = late
    pair.carry()
    assert strings(pair.a) == strings(late)
    late.confirm()
    pair.carry()
    pair.a.confirm()
    pair.carry_one(pair.first)
    assert late.state == "done" and late.verified is not None


# -- QR codes -------------------------------------------------------------------------------------


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
