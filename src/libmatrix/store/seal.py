"""Sealing of a session's secrets in the store: scrypt makes the key, AES-GCM seals.

A sealed session is: version, log2 of scrypt's n, salt (16), nonce (12), tag (16), ciphertext. The
first 18 bytes are authenticated with it. A session that is not sealed is JSON.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import msgspec

from libmatrix.auth.session import Session
from libmatrix.crypto.pycryptodome import prepare
from libmatrix.errors import PassphraseError, StoreError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_VERSION = 1
_LOG2_N = 15  # with r = 8: 32 MiB and some 0.1 s
_MOST_LOG2_N = 20
_SALT, _NONCE, _TAG = 16, 12, 16
_HEAD = 2 + _SALT

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Session).decode

# One at a time, so that many clients do not take many times the memory.
_workers: list[ThreadPoolExecutor] = []


class Vault:
    """Turns a session into what the store keeps, and back."""

    __slots__ = ("_head", "_key", "_passphrase", "_sealed")

    def __init__(self, passphrase: str | None) -> None:
        self._passphrase = passphrase
        self._key: bytes | None = None
        self._head = b""
        self._sealed: bytes | None = None

    @property
    def is_locked(self) -> bool:
        """Whether `unlock` has to come first."""
        return self._passphrase is not None and self._key is None

    def open(self, data: bytes | None) -> Session:
        """What the store kept; nothing yet while locked."""
        if self.is_locked:
            self._sealed = data
            return Session()
        if not data:
            return Session()
        if data[:1] == b"{":
            return _decode(data)
        return _decode(self.unseal(data))

    def close(self, session: Session) -> bytes:
        """What the store is to keep."""
        text = _encode(session)
        return text if self._key is None else self.seal(text)

    @property
    def has_key(self) -> bool:
        """Whether there is a passphrase, and its key was made."""
        return self._key is not None

    def seal(self, text: bytes) -> bytes:
        """Seals any bytes; only while `has_key`."""
        assert self._key is not None
        prepare()
        from Crypto.Cipher import AES

        nonce = os.urandom(_NONCE)
        cipher = AES.new(self._key, AES.MODE_GCM, nonce=nonce, mac_len=_TAG)
        cipher.update(self._head)
        sealed, tag = cipher.encrypt_and_digest(text)
        return self._head + nonce + tag + sealed

    async def unlock(self) -> tuple[Session, bool]:
        """Makes the key, on a thread; gives what was kept, and whether it was kept in clear.

        Raises `StoreError`.
        """
        data, self._sealed = self._sealed, None
        head = data[:_HEAD] if data and data[:1] != b"{" else b""
        self._head = head or bytes((_VERSION, _LOG2_N)) + os.urandom(_SALT)
        if len(self._head) < _HEAD or self._head[0] != _VERSION or self._head[1] > _MOST_LOG2_N:
            raise StoreError("the store's session was sealed by a newer libmatrix")
        if not _workers:
            from concurrent.futures import ThreadPoolExecutor

            _workers.append(ThreadPoolExecutor(1, "seal"))
        assert self._passphrase is not None
        loop = asyncio.get_running_loop()
        self._key = await loop.run_in_executor(
            _workers[0], _derive, self._passphrase, self._head[2:], self._head[1]
        )
        self._passphrase = ""
        return self.open(data), bool(data) and not head

    def unseal(self, data: bytes) -> bytes:
        """What `seal` sealed. Raises `PassphraseError`."""
        if self._key is None:
            raise PassphraseError("the store is sealed; it needs store_passphrase")
        prepare()
        from Crypto.Cipher import AES

        start = _HEAD + _NONCE
        cipher = AES.new(self._key, AES.MODE_GCM, nonce=data[_HEAD:start] or b"0", mac_len=_TAG)
        cipher.update(data[:_HEAD])
        try:
            return cipher.decrypt_and_verify(data[start + _TAG :], data[start : start + _TAG])
        except ValueError:
            raise PassphraseError("store_passphrase: not the one of this store") from None


def _derive(passphrase: str, salt: bytes, log2_n: int) -> bytes:
    import hashlib

    prepare()
    import Crypto.Cipher.AES  # noqa: F401  # slow to load, so here

    n = 1 << log2_n
    most = 128 * 8 * (n + 16)
    return hashlib.scrypt(passphrase.encode(), salt=salt, n=n, r=8, p=1, maxmem=most, dklen=32)
