"""What is kept of devices, users' cross-signing keys and Megolm sessions; in the store it is JSON.

Fields may be added with a default.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

T = TypeVar("T")

# How a Megolm session came here.
Source = Literal["own", "direct", "forwarded", "backup", "import"]


class Device(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A device as its owner signed it."""

    user_id: str
    device_id: str
    ed25519: str
    curve25519: str
    algorithms: list[str] = []
    display_name: str | None = None
    # The whole object of /keys/query but `unsigned`: what signatures are made of.
    keys: dict[str, Any] = {}
    # Signed by the owner's self-signing key, which the owner's master key signed.
    is_cross_signed: bool = False
    # Verified here, device to device.
    is_verified: bool = False
    # Never to be sent a key.
    is_blocked: bool = False


class Identity(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A user's public cross-signing keys, as /keys/query gives them; chained up to the master."""

    user_id: str
    master: dict[str, Any]
    self_signing: dict[str, Any] | None = None
    user_signing: dict[str, Any] | None = None
    # The master key seen first, or accepted since.
    pinned: str = ""
    # This user signed it with the own user-signing key, and that was checked.
    is_verified: bool = False
    # It was once: a change of keys is grave then.
    was_verified: bool = False

    @property
    def master_key(self) -> str:
        """The public master key, base64."""
        return public_key(self.master) or ""

    @property
    def self_signing_key(self) -> str | None:
        """The public self-signing key, base64."""
        return public_key(self.self_signing)

    @property
    def user_signing_key(self) -> str | None:
        """The public user-signing key, base64."""
        return public_key(self.user_signing)

    @property
    def has_changed(self) -> bool:
        """Whether the master key is another than the one pinned."""
        return self.pinned != self.master_key


class RoomKey(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An inbound Megolm session."""

    room_id: str
    session_id: str
    # vodozemac's, encrypted.
    pickle: str
    # The Curve25519 key of who made it; who vouches for that depends on `source`.
    sender_key: str = ""
    # The Ed25519 key that device is said to have.
    ed25519: str = ""
    # The user whose device sent it to us by Olm; None where nobody proved it.
    owner: str | None = None
    # Others who sent it too: their devices' Curve25519 and Ed25519 keys. Whoever was given a
    # session can pass it on as their own, and come first; they speak for themselves alone.
    others: dict[str, tuple[str, str]] = {}
    source: Source = "direct"
    first_index: int = 0
    # Who passed it on before, as an export has it.
    forwarding_chain: list[str] = []

    def as_of(self, sender: str) -> RoomKey | None:
        """The session as a user's; None when it is surely not theirs."""
        keys = self.others.get(sender)
        if keys is not None:
            return msgspec.structs.replace(
                self, owner=sender, sender_key=keys[0], ed25519=keys[1], source="direct"
            )
        return self if self.owner in (None, sender) else None


class OlmSession(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An Olm session with another device."""

    pickle: str
    created_ms: int = 0
    # When it last decrypted or, before that, was made.
    used_ms: int = 0


class OutboundSession(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The Megolm session a room's messages are encrypted with."""

    session_id: str
    pickle: str
    created_ms: int
    message_count: int = 0


def public_key(obj: dict[str, Any] | None) -> str | None:
    """The one public key of a cross-signing key object."""
    keys = obj.get("keys") if obj else None
    if not isinstance(keys, dict) or len(keys) != 1:
        return None
    (name, value), *_ = keys.items()
    is_key = isinstance(value, str) and name == f"ed25519:{value}"
    return value if is_key else None


encode = msgspec.json.Encoder().encode
decode_device = msgspec.json.Decoder(Device).decode
decode_identity = msgspec.json.Decoder(Identity).decode
decode_room_key = msgspec.json.Decoder(RoomKey).decode
decode_olm = msgspec.json.Decoder(OlmSession).decode
decode_outbound = msgspec.json.Decoder(OutboundSession).decode
