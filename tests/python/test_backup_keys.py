"""The encryption of key backups: what it must read and refuse."""

from __future__ import annotations

import hmac
import json

import msgspec
import pytest
from Crypto.Cipher import AES

from libmatrix.crypto.backup_keys import BackupKey, BackupWriter, SealedSession
from libmatrix.crypto.signatures import decode_base64, encode_base64

_SESSION = {"algorithm": "m.megolm.v1.aes-sha2", "session_key": "AQAAAAB" * 20}
# RFC 7748: Alice's and Bob's private keys, and what they share.
_ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
_ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
_BOB_PUBLIC = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
_SHARED = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")


def test_a_backup_is_read_with_the_private_key_alone() -> None:
    key = BackupKey.create()
    sealed = BackupWriter(key.public_key).encrypt(_SESSION)
    again = BackupKey.from_base64(f" {encode_base64(key.key)}\n")
    assert again.public_key == key.public_key
    assert json.loads(again.decrypt(sealed)) == _SESSION
    assert "=" not in sealed.ciphertext + sealed.mac + sealed.ephemeral


def test_the_encryption_is_the_one_specified() -> None:
    """The other side by hand: Bob's ephemeral key, Alice's backup."""
    keys = b""
    pseudorandom = hmac.digest(bytes(32), _SHARED, "sha256")
    block = b""
    for number in (1, 2, 3):
        block = hmac.digest(pseudorandom, block + bytes([number]), "sha256")
        keys += block
    aes, mac_key, iv = keys[:32], keys[32:64], keys[64:80]
    text = json.dumps(_SESSION).encode()
    padding = 16 - len(text) % 16
    ciphertext = AES.new(aes, AES.MODE_CBC, iv=iv).encrypt(text + bytes([padding]) * padding)
    # All implementations authenticate nothing at all here; the specification says so.
    mac = hmac.digest(mac_key, b"", "sha256")[:8]
    sealed = SealedSession(
        encode_base64(_BOB_PUBLIC), encode_base64(ciphertext), encode_base64(mac)
    )
    alice = BackupKey(_ALICE)
    assert decode_base64(alice.public_key) == _ALICE_PUBLIC
    assert alice.decrypt(sealed) == text


def test_what_cannot_be_decrypted_is_refused() -> None:
    key = BackupKey.create()
    sealed = BackupWriter(key.public_key).encrypt(_SESSION)
    for change in (
        {"ephemeral": BackupKey.create().public_key},
        {"ephemeral": "?"},
        {"ephemeral": ""},
        {"ephemeral": encode_base64(bytes(32))},
        {"ciphertext": ""},
        {"ciphertext": sealed.ciphertext[:-2]},
        {"mac": "AAAAAAAAAAA"},
        {"mac": ""},
        {"mac": "é"},
    ):
        with pytest.raises(ValueError):
            key.decrypt(msgspec.structs.replace(sealed, **change))
    with pytest.raises(ValueError):
        BackupKey.create().decrypt(sealed)


def test_keys_that_are_none_are_refused() -> None:
    for text in ("", "?", encode_base64(bytes(31)), encode_base64(bytes(33))):
        with pytest.raises(ValueError):
            BackupKey.from_base64(text)
        with pytest.raises(ValueError):
            BackupWriter(text)
