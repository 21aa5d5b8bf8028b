"""Users with cross-signing keys, as a homeserver would tell of them."""

from __future__ import annotations

from typing import Any

from libmatrix.crypto.identity import make_key
from libmatrix.crypto.signatures import SigningKey, sign


class User:
    """A user's three keys, private and public."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.master, self.self_signing, self.user_signing = (SigningKey.create() for _ in range(3))
        key_id = f"ed25519:{self.master.public_key}"
        self.master_raw = make_key(user_id, "master", self.master.public_key)
        self.self_signing_raw, self.user_signing_raw = (
            sign(self.master, raw, user_id, key_id)
            for raw in (
                make_key(user_id, "self_signing", self.self_signing.public_key),
                make_key(user_id, "user_signing", self.user_signing.public_key),
            )
        )

    @property
    def answer(self) -> tuple[str, Any, Any, Any]:
        """What /keys/query says."""
        return self.user_id, self.master_raw, self.self_signing_raw, self.user_signing_raw

    def verify(self, other: User) -> None:
        """Signs another user's master key."""
        key_id = f"ed25519:{self.user_signing.public_key}"
        other.master_raw = sign(self.user_signing, other.master_raw, self.user_id, key_id)

    def device(self, device_id: str) -> dict[str, Any]:
        """A device's keys, signed by their owner."""
        keys = {
            "user_id": self.user_id,
            "device_id": device_id,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {f"ed25519:{device_id}": SigningKey.create().public_key},
        }
        key_id = f"ed25519:{self.self_signing.public_key}"
        return sign(self.self_signing, keys, self.user_id, key_id)


class MemoryTable:
    """What the store keeps, in memory."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], bytes] = {}

    def get(self, first: str, second: str = "") -> bytes | None:
        return self.rows.get((first, second))

    def put(self, first: str, second: str, value: bytes) -> None:
        self.rows[first, second] = value

    def delete(self, first: str, second: str = "") -> None:
        self.rows.pop((first, second), None)
