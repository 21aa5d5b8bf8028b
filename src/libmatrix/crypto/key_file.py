"""Files of room keys that Element and others write and read.

Specification: client-server API, end-to-end encryption, key exports. A file is base64 between two
lines of text: version, salt (16), IV (16), PBKDF2 rounds (4), ciphertext, HMAC-SHA-256 (32).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from typing import Any

from libmatrix.crypto.pycryptodome import prepare

HEADER = b"-----BEGIN MEGOLM SESSION DATA-----"
FOOTER = b"-----END MEGOLM SESSION DATA-----"

_VERSION = 1
_SALT = _IV = 16
_HEAD = 1 + _SALT + _IV + 4
_MAC = 32
# Bytes that make a line of 96 letters.
_LINE = 72
ROUNDS = 500_000
# The file says how many there were; more would only stall.
_MOST_ROUNDS = 20_000_000


class KeyFileWriter:
    """Makes a file piece by piece; everything here takes a while, so it is used on a thread."""

    def __init__(self, passphrase: str, rounds: int = ROUNDS) -> None:
        salt, iv = os.urandom(_SALT), bytearray(os.urandom(_IV))
        # Implementations differ in how they count on from here.
        iv[8] &= 0x7F
        head = bytes([_VERSION]) + salt + iv + rounds.to_bytes(4, "big")
        key, mac_key = _derive(passphrase, salt, rounds)
        self._cipher = _cipher(key, bytes(iv))
        self._mac = hmac.new(mac_key, head, "sha256")
        # What does not make a line yet.
        self._rest = head
        self._is_begun = False

    def write(self, text: bytes) -> bytes:
        """The lines that come with more of the text."""
        data = self._cipher.encrypt(text)
        self._mac.update(data)
        return self._lines(data, is_last=False)

    def finish(self) -> bytes:
        """The last lines."""
        return self._lines(self._mac.digest(), is_last=True) + FOOTER + b"\n"

    def _lines(self, data: bytes, *, is_last: bool) -> bytes:
        data = self._rest + data
        end = len(data) if is_last else len(data) - len(data) % _LINE
        self._rest = data[end:]
        lines = [] if self._is_begun else [HEADER]
        self._is_begun = True
        lines += [
            binascii.b2a_base64(data[at : min(at + _LINE, end)], newline=False)
            for at in range(0, end, _LINE)
        ]
        return b"".join(line + b"\n" for line in lines)


def read_key_file(data: bytes, passphrase: str) -> bytes:
    """The text of a file. Takes a while: to be called on a thread.

    Raises ValueError for what is no such file, is broken, or has another passphrase.
    """
    content = _content(data)
    if len(content) < _HEAD + _MAC:
        raise ValueError("the key file is too short")
    if content[0] != _VERSION:
        raise ValueError("the key file is of an unknown version")
    salt, iv = content[1 : 1 + _SALT], content[1 + _SALT : 1 + _SALT + _IV]
    rounds = int.from_bytes(content[_HEAD - 4 : _HEAD], "big")
    key, mac_key = _derive(passphrase, salt, rounds)
    whole = memoryview(content)
    mac = hmac.digest(mac_key, whole[:-_MAC], "sha256")
    if not hmac.compare_digest(mac, whole[-_MAC:]):
        raise ValueError("the key file is broken, or the passphrase is wrong")
    return bytes(_cipher(key, iv).decrypt(whole[_HEAD:-_MAC]))


def _content(data: bytes) -> bytes:
    start = data.find(HEADER)
    if start < 0:
        raise ValueError("not a key file: the first line is missing")
    start += len(HEADER)
    end = data.find(FOOTER, start)
    if end < 0:
        raise ValueError("not a key file: the last line is missing")
    letters = b"".join(data[start:end].split()).rstrip(b"=")
    try:
        return base64.b64decode(letters + b"=" * (-len(letters) % 4), validate=True)
    except binascii.Error:
        raise ValueError("the key file is broken: not base64") from None


def _derive(passphrase: str, salt: bytes, rounds: int) -> tuple[bytes, bytes]:
    if not 0 < rounds <= _MOST_ROUNDS:
        raise ValueError("the number of PBKDF2 rounds is out of range")
    keys = hashlib.pbkdf2_hmac("sha512", passphrase.encode(), salt, rounds, 64)
    return keys[:32], keys[32:]


def _cipher(key: bytes, iv: bytes) -> Any:
    prepare()
    from Crypto.Cipher import AES

    return AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=iv)
