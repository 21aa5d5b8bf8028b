"""Whatever comes from a homeserver, a file or a person: it is read, or it is a ValueError."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libmatrix.crypto.backup_keys import BackupKey, BackupWriter, SealedSession
from libmatrix.crypto.key_file import KeyFileWriter, read_key_file
from libmatrix.crypto.key_query import read_identity
from libmatrix.crypto.recovery_key import decode_recovery_key, encode_recovery_key
from libmatrix.crypto.secret_storage import (
    KeyDescription,
    Sealed,
    decrypt_secret,
    encrypt_secret,
    is_key_of,
)
from libmatrix.crypto.signatures import SigningKey, canonical_json, sign, verify_signature

_BASE64 = st.text("ABCDEFGHabcdefgh0123+/=", max_size=80)
_TEXT = st.text(max_size=60) | _BASE64
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)
_KEY = SigningKey(bytes(32))
_FILE = KeyFileWriter("p", 1)
_WRITTEN = _FILE.write(b'[{"session_id": "s"}]' * 20) + _FILE.finish()
_BACKUP = BackupKey(bytes(range(32)))
_SEALED = BackupWriter(_BACKUP.public_key).encrypt({"algorithm": "m.megolm.v1.aes-sha2"})


@given(st.binary(min_size=32, max_size=32), st.text(" \t\n\r", max_size=3))
def test_every_recovery_key_is_read_again(key: bytes, blank: str) -> None:
    text = encode_recovery_key(key)
    assert decode_recovery_key(text.replace(" ", blank) + blank) == key


@given(st.text() | _BASE64)
def test_any_text_as_a_recovery_key(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert len(decode_recovery_key(text)) == 32


@given(st.integers(0, len(_WRITTEN) - 1), st.binary(min_size=1, max_size=3))
@settings(max_examples=300)
def test_a_key_file_that_was_changed_is_never_read_as_another(at: int, data: bytes) -> None:
    changed = _WRITTEN[:at] + data + _WRITTEN[at + len(data) :]
    with contextlib.suppress(ValueError):
        assert read_key_file(changed, "p") == read_key_file(_WRITTEN, "p")


@given(st.fixed_dictionaries(dict.fromkeys(("iv", "ciphertext", "mac"), _TEXT)), _TEXT)
def test_any_secret_is_decrypted_or_refused(fields: dict[str, str], name: str) -> None:
    sound = encrypt_secret(bytes(32), name, "secret")
    for field, value in fields.items():
        changed = {**{each: getattr(sound, each) for each in fields}, field: value}
        with contextlib.suppress(ValueError):
            assert decrypt_secret(bytes(32), name, Sealed(**changed))
    described = KeyDescription("a", iv=fields["iv"], mac=fields["mac"])
    assert is_key_of(bytes(32), described) in (True, False)


@given(st.sampled_from(["ephemeral", "ciphertext", "mac"]), _TEXT)
def test_any_session_of_a_backup_is_decrypted_or_refused(field: str, value: str) -> None:
    fields = {each: getattr(_SEALED, each) for each in ("ephemeral", "ciphertext", "mac")}
    with contextlib.suppress(ValueError):
        _BACKUP.decrypt(SealedSession(**{**fields, field: value}))


@given(_JSON)
@settings(max_examples=300)
def test_any_json_has_a_canonical_text_that_is_signed_or_none(value: Any) -> None:
    try:
        text = canonical_json({"value": value})
    except ValueError:
        return
    assert canonical_json({"value": value}) == text
    signed = sign(_KEY, {"value": value}, "@a:b", "ed25519:k")
    assert verify_signature(signed, "@a:b", "ed25519:k", _KEY.public_key)
    assert not verify_signature({**signed, "more": 1}, "@a:b", "ed25519:k", _KEY.public_key)


@given(_JSON, _JSON, _TEXT)
def test_any_json_may_be_asked_for_signatures_and_identities(one: Any, two: Any, key: str) -> None:
    assert not verify_signature(one, "@a:b", "ed25519:k", key)
    for signatures in (two, {"@a:b": two}, {"@a:b": {"ed25519:k": two}}):
        signed = {"a": one, "signatures": signatures}
        assert not verify_signature(signed, "@a:b", "ed25519:k", _KEY.public_key)
    keys = {"user_id": "@a:b", "usage": ["master"], "keys": one}
    identity = read_identity("@a:b", keys, one, two)
    assert identity is None or identity.self_signing is None
