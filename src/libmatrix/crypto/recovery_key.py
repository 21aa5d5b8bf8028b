"""Recovery keys as people write them down, and keys made from a passphrase.

Specification: client-server API, secrets, key representation and deriving keys from passphrases.
"""

from __future__ import annotations

import hashlib
from functools import reduce
from operator import xor

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS = {letter: digit for digit, letter in enumerate(_ALPHABET)}
_PREFIX = b"\x8b\x01"
_SIZE = 32
_WHOLE = len(_PREFIX) + _SIZE + 1
_GROUP = 4
# Longer than any recovery key with its blanks; what is longer is not looked at.
_MOST_LETTERS = 1_000

# What a passphrase costs who tries many.
ROUNDS = 500_000
# The homeserver says how many rounds there were; more would only stall.
_MOST_ROUNDS = 20_000_000


def encode_recovery_key(key: bytes) -> str:
    """A key of 32 bytes as base58 in groups of four letters. Raises `ValueError`."""
    if len(key) != _SIZE:
        raise ValueError("a recovery key has 32 bytes")
    data = _PREFIX + key
    number = int.from_bytes(data + bytes([reduce(xor, data)]), "big")
    letters = ""
    while number:
        number, digit = divmod(number, 58)
        letters = _ALPHABET[digit] + letters
    return " ".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def decode_recovery_key(text: str) -> bytes:
    """The key of 32 bytes; blanks do not count. Raises ValueError for what is no recovery key."""
    letters = "".join(text[:_MOST_LETTERS].split())
    number = 0
    for letter in letters:
        if letter not in _DIGITS:
            raise ValueError("not a recovery key: a letter that is none of base58")
        number = number * 58 + _DIGITS[letter]
    if number.bit_length() > 8 * _WHOLE:
        raise ValueError("not a recovery key: too long")
    data = number.to_bytes(_WHOLE, "big")
    if not data.startswith(_PREFIX):
        raise ValueError("not a recovery key: it does not begin as one")
    if reduce(xor, data):
        raise ValueError("not a recovery key: a letter is wrong")
    return data[len(_PREFIX) : -1]


def derive_key(passphrase: str, salt: str, rounds: int) -> bytes:
    """32 bytes by PBKDF2 with HMAC-SHA-512. Takes a while: to be called on a thread.

    Raises `ValueError`.
    """
    if not 0 < rounds <= _MOST_ROUNDS:
        raise ValueError("the number of PBKDF2 rounds is out of range")
    return hashlib.pbkdf2_hmac("sha512", passphrase.encode(), salt.encode(), rounds, _SIZE)
