"""Canonical JSON and its signatures, with the specification's own examples."""

from __future__ import annotations

import json
from typing import Any

import pytest
import vodozemac

from libmatrix.crypto.signatures import (
    SigningKey,
    canonical_json,
    decode_base64,
    encode_base64,
    sign,
    verify_signature,
)

# Appendices, cryptographic test vectors: the seed of the signing key, and what it signs.
_SEED = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"
_SIGNED_EMPTY = (
    "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"
)
_SIGNED_DATA = (
    "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"
)

_CANONICAL = [
    ("{}", "{}"),
    ('{"one": 1, "two": "Two"}', '{"one":1,"two":"Two"}'),
    ('{"b": "2", "a": "1"}', '{"a":"1","b":"2"}'),
    (
        '{"auth": {"success": true, "mxid": "@john.doe:example.com", "profile": {"display_name": '
        '"John Doe", "three_pids": [{"medium": "email", "address": "john.doe@example.org"}, '
        '{"medium": "msisdn", "address": "123456789"}]}}}',
        '{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe",'
        '"three_pids":[{"address":"john.doe@example.org","medium":"email"},'
        '{"address":"123456789","medium":"msisdn"}]},"success":true}}',
    ),
    ('{"a": "日本語"}', '{"a":"日本語"}'),
    ('{"本": 2, "日": 1}', '{"日":1,"本":2}'),
    ('{"a": "\\u65E5"}', '{"a":"日"}'),
    ('{"a": null}', '{"a":null}'),
    ('{"a": -0}', '{"a":0}'),
    ('{"\\u20ac": 1, "\\ud83d\\ude00": 2, "\\uffef": 3}', '{"€":1,"\uffef":3,"😀":2}'),
    ('"\\u0001\\b\\t\\n\\f\\r\\"\\\\\\u007f\\/"', '"\\u0001\\b\\t\\n\\f\\r\\"\\\\\x7f/"'),
]


@pytest.mark.parametrize(("text", "expected"), _CANONICAL)
def test_json_has_one_canonical_text(text: str, expected: str) -> None:
    assert canonical_json(json.loads(text)).decode() == expected


@pytest.mark.parametrize(
    "value", [1.0, float("nan"), 2**53, -(2**53), {1: 2}, "\ud800", {"\udc00": 1}, b"", {"a": {1}}]
)
def test_what_has_no_canonical_text_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        canonical_json({"a": [value]})


def test_integers_of_53_bits_and_64_levels_have_a_canonical_text() -> None:
    assert canonical_json([2**53 - 1, -(2**53) + 1]) == b"[9007199254740991,-9007199254740991]"
    deep: Any = 1
    for _ in range(64):
        deep = [deep]
    assert canonical_json(deep).count(b"[") == 64
    with pytest.raises(ValueError, match="levels"):
        canonical_json([deep])


def test_a_seed_gives_the_keys_and_signatures_of_the_specification() -> None:
    key = SigningKey(decode_base64(_SEED))
    assert sign(key, {}, "domain", "ed25519:1") == {
        "signatures": {"domain": {"ed25519:1": _SIGNED_EMPTY}}
    }
    signed = sign(key, {"one": 1, "two": "Two"}, "domain", "ed25519:1")
    assert signed["signatures"]["domain"]["ed25519:1"] == _SIGNED_DATA
    assert verify_signature(signed, "domain", "ed25519:1", key.public_key)


def test_a_signature_is_added_and_what_is_unsigned_does_not_count() -> None:
    account, key = vodozemac.Account(), SigningKey.create()
    before = {"a": 1, "unsigned": {"b": 1.5}, "signatures": {"@a:b": {"ed25519:old": "x"}}}
    signed = sign(account, before, "@a:b", "ed25519:DEVICE")
    signed = sign(key, signed, "@c:d", f"ed25519:{key.public_key}")
    assert before["signatures"] == {"@a:b": {"ed25519:old": "x"}}
    assert set(signed["signatures"]["@a:b"]) == {"ed25519:old", "ed25519:DEVICE"}
    signed["unsigned"] = None
    own = account.ed25519_key.to_base64()
    assert verify_signature(signed, "@a:b", "ed25519:DEVICE", own)
    assert verify_signature(signed, "@c:d", f"ed25519:{key.public_key}", key.public_key)
    assert not verify_signature(signed, "@a:b", "ed25519:DEVICE", key.public_key)
    assert not verify_signature(signed, "@a:b", "ed25519:old", own)
    signed["a"] = 2
    assert not verify_signature(signed, "@a:b", "ed25519:DEVICE", own)


@pytest.mark.parametrize(
    "obj",
    [
        None,
        [],
        "",
        {},
        {"signatures": None},
        {"signatures": []},
        {"signatures": {"@a:b": "ed25519:D"}},
        {"signatures": {"@a:b": {"ed25519:D": 5}}},
        {"signatures": {"@a:b": {"ed25519:D": "not base64!"}}},
        {"signatures": {"@a:b": {"ed25519:D": _SIGNED_EMPTY}}, "a": 1.5},
    ],
)
def test_anything_may_be_asked_for_a_signature(obj: Any) -> None:
    key = SigningKey(decode_base64(_SEED)).public_key
    assert not verify_signature(obj, "@a:b", "ed25519:D", key)
    assert not verify_signature(obj, "@a:b", "ed25519:D", "no key")


def test_a_key_needs_a_seed_of_its_size() -> None:
    with pytest.raises(ValueError, match="32"):
        SigningKey(b"short")


def test_base64_is_read_with_and_without_padding() -> None:
    assert encode_base64(b"a") == "YQ"
    assert decode_base64("YQ") == decode_base64("YQ==") == b"a"
    for text in ("Y", "Y Q", "YQ-_", "é"):
        with pytest.raises(ValueError):
            decode_base64(text)
