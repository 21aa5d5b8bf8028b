"""The keys of a backup of room keys, m.megolm_backup.v1.curve25519-aes-sha2.

Specification: client-server API, end-to-end encryption, server-side key backups.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
from vodozemac import Curve25519PublicKey, Curve25519SecretKey, Message, PkDecryption, PkEncryption

from libmatrix.crypto.signatures import decode_base64, encode_base64

ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2"

_encode = msgspec.json.Encoder().encode


class SealedSession(msgspec.Struct):
    """One room key as a backup holds it; all fields in base64."""

    ephemeral: str
    ciphertext: str
    mac: str


class BackupWriter:
    """Encrypts for a backup; the public key is all it takes."""

    def __init__(self, public_key: str) -> None:
        """`public_key`: Curve25519, in base64. Raises ValueError when it is none."""
        self._encryption = PkEncryption.from_key(Curve25519PublicKey.from_base64(public_key))

    def encrypt(self, session: dict[str, Any]) -> SealedSession:
        """Encrypts what is to be kept of a session."""
        message = self._encryption.encrypt(_encode(session))
        return SealedSession(
            encode_base64(message.ephemeral_key),
            encode_base64(message.ciphertext),
            encode_base64(message.mac),
        )


class BackupKey:
    """The private key of a backup: what it protects can be read."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 bytes. Raises ValueError when there are more or fewer."""
        if len(key) != 32:
            raise ValueError("the key of a backup has 32 bytes")
        self.key = key
        self._decryption = PkDecryption.from_key(Curve25519SecretKey.from_bytes(key))
        self.public_key = self._decryption.public_key.to_base64()

    @classmethod
    def create(cls) -> BackupKey:
        """A new key."""
        return cls(os.urandom(32))

    @classmethod
    def from_base64(cls, text: str) -> BackupKey:
        """The key as secret storage keeps it. Raises ValueError for anything else."""
        return cls(decode_base64(text.strip()))

    def decrypt(self, sealed: SealedSession) -> bytes:
        """The JSON of a session. Raises ValueError for what was not encrypted for this key."""
        # The order is (ciphertext, mac, ephemeral key), and so is that of from_base64.
        message = Message.from_base64(sealed.ciphertext, sealed.mac, sealed.ephemeral)
        return self._decryption.decrypt(message)
