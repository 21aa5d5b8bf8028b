"""A user's public cross-signing keys, as /keys/query gives them: what of them counts.

Specification: client-server API, end-to-end encryption, cross-signing.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from libmatrix.crypto.signatures import verify_signature

Usage = Literal["master", "self_signing", "user_signing"]
USAGES: tuple[Usage, ...] = ("master", "self_signing", "user_signing")

_ED25519 = "ed25519:"
# The key of a device or user is a line of base64.
_MOST_LETTERS = 100


class PublicKey(msgspec.Struct, frozen=True):
    """One of a user's cross-signing keys."""

    user_id: str
    usage: Usage
    # In base64, as it is written in its key id.
    key: str
    # All of it as the homeserver has it, with its signatures.
    raw: dict[str, Any]

    @property
    def key_id(self) -> str:
        """The name its signatures go by."""
        return _ED25519 + self.key

    def has_signed(self, obj: Any) -> bool:
        """Whether anything has a valid signature of this key."""
        return verify_signature(obj, self.user_id, self.key_id, self.key)


class Identity(msgspec.Struct, frozen=True):
    """A user's cross-signing keys; those beside the master key are signed by it."""

    master: PublicKey
    self_signing: PublicKey | None = None
    user_signing: PublicKey | None = None

    @property
    def user_id(self) -> str:
        """Whose they are."""
        return self.master.user_id

    def owns_device(self, device_keys: Any) -> bool:
        """Whether the user vouches for a device, by the keys it has published."""
        if not isinstance(device_keys, dict) or device_keys.get("user_id") != self.user_id:
            return False
        return self.self_signing is not None and self.self_signing.has_signed(device_keys)

    def has_verified(self, other: Identity) -> bool:
        """Whether this user has signed another user's master key. Only known of oneself."""
        return self.user_signing is not None and self.user_signing.has_signed(other.master.raw)


def read_key(raw: Any, user_id: str, usage: Usage) -> PublicKey | None:
    """A key of any origin; None when it is not what it claims to be."""
    if not isinstance(raw, dict) or raw.get("user_id") != user_id:
        return None
    usages, keys = raw.get("usage"), raw.get("keys")
    if not isinstance(usages, list) or usage not in usages:
        return None
    if not isinstance(keys, dict) or len(keys) != 1:
        return None
    ((key_id, key),) = keys.items()
    if not isinstance(key, str) or not 0 < len(key) <= _MOST_LETTERS or key_id != _ED25519 + key:
        return None
    return PublicKey(user_id, usage, key, raw)


def read_identity(
    user_id: str, master: Any, self_signing: Any, user_signing: Any
) -> Identity | None:
    """The identity that these make; None without a sound master key."""
    key = read_key(master, user_id, "master")
    if key is None:
        return None
    return Identity(
        key,
        _signed_by(key, read_key(self_signing, user_id, "self_signing")),
        _signed_by(key, read_key(user_signing, user_id, "user_signing")),
    )


def make_key(user_id: str, usage: Usage, public_key: str) -> dict[str, Any]:
    """A key to publish, without signatures."""
    return {"user_id": user_id, "usage": [usage], "keys": {_ED25519 + public_key: public_key}}


def _signed_by(master: PublicKey, key: PublicKey | None) -> PublicKey | None:
    return key if key is not None and master.has_signed(key.raw) else None
