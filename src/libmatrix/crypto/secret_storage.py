"""Secrets in account data, encrypted with m.secret_storage.v1.aes-hmac-sha2.

Specification: client-server API, secrets, storage.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import string
from typing import Any

import msgspec

from libmatrix.crypto.pycryptodome import prepare
from libmatrix.crypto.recovery_key import ROUNDS, derive_key
from libmatrix.crypto.signatures import decode_base64, encode_base64

ALGORITHM = "m.secret_storage.v1.aes-hmac-sha2"
PASSPHRASE_ALGORITHM = "m.pbkdf2"

_KEY = 32
_IV = 16
_LETTERS = string.ascii_letters + string.digits
_SALT_LETTERS = _ID_LETTERS = 32


class Sealed(msgspec.Struct):
    """A secret for one key; all fields in base64."""

    iv: str
    ciphertext: str
    mac: str


class PassphraseInfo(msgspec.Struct):
    """How a key was made from a passphrase."""

    algorithm: str
    salt: str
    iterations: int
    bits: int = 256


class KeyDescription(msgspec.Struct, omit_defaults=True):
    """The content of m.secret_storage.key.ID."""

    algorithm: str
    name: str | None = None
    iv: str | None = None
    mac: str | None = None
    passphrase: PassphraseInfo | None = None


class StorageKey:
    """A key of secret storage: its id, its 32 bytes, its description."""

    def __init__(self, key_id: str, key: bytes, description: KeyDescription) -> None:
        self.key_id = key_id
        self.key = key
        self.description = description

    @classmethod
    def create(cls, passphrase: str | None = None, name: str | None = None) -> StorageKey:
        """A new key, random or of a passphrase; the latter takes a while."""
        info = None
        if passphrase is None:
            key = os.urandom(_KEY)
        else:
            info = PassphraseInfo(PASSPHRASE_ALGORITHM, _random_text(_SALT_LETTERS), ROUNDS)
            key = derive_key(passphrase, info.salt, info.iterations)
        check = encrypt_secret(key, "", "\0" * _KEY)
        description = KeyDescription(ALGORITHM, name, check.iv, check.mac, info)
        return cls(_random_text(_ID_LETTERS), key, description)


def is_key_of(key: bytes, description: KeyDescription) -> bool:
    """Whether a key is the one described; one without a check value fits every key."""
    if description.iv is None or description.mac is None:
        return True
    try:
        found = _encrypt(key, "", bytes(_KEY), decode_base64(description.iv))
        return hmac.compare_digest(decode_base64(found.mac), decode_base64(description.mac))
    except ValueError:
        return False


def key_of_passphrase(passphrase: str, info: PassphraseInfo) -> bytes:
    """The key that a passphrase stands for. Takes a while: to be called on a thread.

    Raises `ValueError`.
    """
    if info.algorithm != PASSPHRASE_ALGORITHM or info.bits != 8 * _KEY:
        raise ValueError("the passphrase is of an unknown kind")
    return derive_key(passphrase, info.salt, info.iterations)


def encrypt_secret(key: bytes, name: str, secret: str) -> Sealed:
    """Encrypts the secret of a name."""
    iv = bytearray(os.urandom(_IV))
    # Implementations differ in how they count on from here.
    iv[8] &= 0x7F
    return _encrypt(key, name, secret.encode(), bytes(iv))


def decrypt_secret(key: bytes, name: str, sealed: Sealed) -> str:
    """The secret of a name. Raises ValueError for another key, another name or broken data."""
    cipher_key, mac_key = _keys(key, name)
    ciphertext = decode_base64(sealed.ciphertext)
    mac = hmac.digest(mac_key, ciphertext, "sha256")
    if not hmac.compare_digest(mac, decode_base64(sealed.mac)):
        raise ValueError("the secret was not encrypted with this key")
    return _cipher(cipher_key, decode_base64(sealed.iv), ciphertext).decode()


def _encrypt(key: bytes, name: str, secret: bytes, iv: bytes) -> Sealed:
    cipher_key, mac_key = _keys(key, name)
    ciphertext = _cipher(cipher_key, iv, secret)
    mac = hmac.digest(mac_key, ciphertext, "sha256")
    return Sealed(encode_base64(iv), encode_base64(ciphertext), encode_base64(mac))


def _keys(key: bytes, name: str) -> tuple[bytes, bytes]:
    """HKDF-SHA-256 with a salt of zeros: the key of the cipher and that of the MAC."""
    pseudorandom = hmac.digest(bytes(hashlib.sha256().digest_size), key, "sha256")
    first = hmac.digest(pseudorandom, name.encode() + b"\1", "sha256")
    return first, hmac.digest(pseudorandom, first + name.encode() + b"\2", "sha256")


def _cipher(key: bytes, iv: bytes, data: bytes) -> bytes:
    prepare()
    from Crypto.Cipher import AES

    if len(iv) != _IV:
        raise ValueError("an initialization vector has 16 bytes")
    cipher: Any = AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=iv)
    return bytes(cipher.encrypt(data))


def _random_text(size: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(size))
