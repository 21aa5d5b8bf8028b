"""Canonical JSON and signatures of JSON (specification, appendices: signing JSON)."""

from __future__ import annotations

import base64
import binascii
import json
import os
from typing import Any, Protocol

from vodozemac import Ed25519PublicKey, Ed25519Signature

from libmatrix.crypto.pycryptodome import prepare

# The integers that every JSON implementation can tell apart.
_MOST = 2**53 - 1
# Deeper than any object that is signed.
_MOST_LEVELS = 64
_UNSIGNED = ("signatures", "unsigned")
_SEED = _KEY = 32


class Signer(Protocol):
    """What signs: vodozemac's Account, or a `SigningKey`."""

    def sign(self, message: bytes, /) -> Ed25519Signature: ...


class SigningKey:
    """An Ed25519 key made from its seed, as cross-signing keys are kept."""

    def __init__(self, seed: bytes) -> None:
        """`seed`: 32 bytes. Raises ValueError when there are more or fewer."""
        prepare()
        from Crypto.PublicKey import ECC
        from Crypto.Signature import eddsa

        if len(seed) != _SEED:
            raise ValueError("a seed has 32 bytes")
        key = ECC.construct(curve="Ed25519", seed=seed)
        self.seed = seed
        self.public_key = encode_base64(key.public_key().export_key(format="raw"))
        self._signer = eddsa.new(key, "rfc8032")

    @classmethod
    def create(cls) -> SigningKey:
        """A new key."""
        return cls(os.urandom(_SEED))

    def sign(self, message: bytes) -> Ed25519Signature:
        """Signs bytes."""
        return Ed25519Signature.from_base64(encode_base64(self._signer.sign(message)))


def encode_base64(data: bytes) -> str:
    """Base64 without padding."""
    return base64.b64encode(data).rstrip(b"=").decode()


def decode_base64(text: str) -> bytes:
    """Base64 with or without padding; raises ValueError for anything else."""
    try:
        bare = text.rstrip("=")
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def canonical_json(value: Any) -> bytes:
    """The one text of a JSON value that is signed and hashed.

    Raises ValueError for what has none: floats, integers beyond 53 bits, keys that are no strings,
    text that is no Unicode, more than 64 levels.
    """
    _check(value, _MOST_LEVELS)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode()


def sign(key: Signer, obj: dict[str, Any], user_id: str, key_id: str) -> dict[str, Any]:
    """A copy of `obj` with one more signature. `key_id`: with its algorithm, as ed25519:DEVICE."""
    signature = key.sign(_payload(obj)).to_base64()
    signatures = {user: dict(found) for user, found in obj.get("signatures", {}).items()}
    signatures.setdefault(user_id, {})[key_id] = signature
    return {**obj, "signatures": signatures}


def verify_signature(obj: Any, user_id: str, key_id: str, public_key: str) -> bool:
    """Whether `obj`, of any origin and shape, has a valid signature of that key.

    `public_key`: the Ed25519 key in base64. Whose key it is, the caller has to know.
    """
    try:
        signature = obj["signatures"][user_id][key_id]
        if len(decode_base64(public_key)) != _KEY:
            # Of some lengths vodozemac panics, which no `except Exception` holds.
            return False
        key = Ed25519PublicKey.from_base64(public_key)
        key.verify_signature(_payload(obj), Ed25519Signature.from_base64(signature))
    except (ValueError, TypeError, KeyError, LookupError, RecursionError):
        return False
    return True


def _payload(obj: dict[str, Any]) -> bytes:
    return canonical_json({key: obj[key] for key in obj if key not in _UNSIGNED})


def _check(value: Any, levels: int) -> None:
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return
    if kind is int:
        if not -_MOST <= value <= _MOST:
            raise ValueError("an integer is too large")
    elif levels == 0:
        raise ValueError("too many levels")
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise ValueError("a key is no string")
            _check(item, levels - 1)
    elif kind is list or kind is tuple:
        for item in value:
            _check(item, levels - 1)
    else:
        raise ValueError(f"{kind.__name__} has no canonical form")
