"""Verifications between two ends in this process, and against the specification's formulas."""

from __future__ import annotations

import json

import pytest

from libmatrix.crypto.verification import contents
from libmatrix.crypto.verification.contents import Party
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
    run_sas,
    strings,
)


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


CHOSEN = {
    "key_agreement_protocol": "curve25519-hkdf-sha256",
    "hash": "sha256",
    "message_authentication_code": "hkdf-hmac-sha256.v2",
    "short_authentication_string": ["emoji", "decimal"],
}


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
    end.receive(contents.ACCEPT, CHOSEN | {"commitment": theirs.commitment(canonical)})
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
