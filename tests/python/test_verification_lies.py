"""What the other side of a verification may say that is not so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libmatrix.crypto.verification import contents
from libmatrix.crypto.verification.contents import Message
from tests.support.verification_ends import (
    ALICE,
    BOB,
    SAS_ONLY,
    Pair,
    new_key,
    run_sas,
)


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


@settings(max_examples=100)
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
