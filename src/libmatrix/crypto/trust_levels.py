"""How far an event's sender, or a device to send to, is to be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from libmatrix.crypto.records import Device, RoomKey

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

Color = Literal["none", "grey", "red"]


class Shield(NamedTuple):
    """What a client shows beside an event, and why."""

    color: Color
    reason: str | None
    device: Device | None
    # The sender is proven to be who the homeserver says.
    is_proven: bool
    is_verified: bool = False


class Policy:
    """Whom keys are sent to, and whose messages are shown: options of the client."""

    def __init__(self, crypto: Crypto, send_to: str, show_from: str) -> None:
        self._crypto = crypto
        self._send_to = send_to
        self._show_from = show_from

    @property
    def is_open(self) -> bool:
        """Whether devices get room keys without being trusted first."""
        return self._send_to == "all"

    def withholds(self, device: Device) -> str | None:
        """The code for not giving a device room keys; None when it gets them."""
        if device.is_blocked:
            return "m.blacklisted"
        crypto = self._crypto
        if device.user_id == crypto.user_id and device.device_id == crypto.device_id:
            return None
        is_cross_signed = device.is_cross_signed or device.is_verified
        if self._send_to == "cross_signed" and not (is_cross_signed and self._is_same(device)):
            return "m.unverified"
        if self._send_to == "verified" and not crypto.is_device_verified(device):
            return "m.unverified"
        return None

    def shows(self, shield: Shield) -> bool:
        """Whether messages with that shield are given to the host in clear."""
        if self._show_from == "verified":
            return shield.is_verified
        if self._show_from == "cross_signed":
            device = shield.device
            return (
                shield.is_proven
                and device is not None
                and (device.is_cross_signed or shield.is_verified)
                and self._is_same(device)
            )
        return True

    def _is_same(self, device: Device) -> bool:
        """Not of a user who was verified and has another identity since: that may be anybody's."""
        return device.is_verified or self._crypto.trust.of_user(device.user_id) != "violated"


def shield_of(crypto: Crypto, key: RoomKey, sender: str) -> Shield:
    """What is known of the sender of a session's events."""
    device = crypto.devices.by_key(sender, key.sender_key, key.ed25519) if key.sender_key else None
    if device is not None and device.ed25519 != key.ed25519:
        device = None
    if key.source not in ("own", "direct"):
        # Whoever gave us the session could have made it.
        return Shield("grey", "authenticity_not_guaranteed", device, False)
    if device is None:
        is_own = key.source == "own" and sender == crypto.user_id
        if is_own:
            return Shield("none", None, None, True, True)
        return Shield("red", "unknown_device", None, False)
    if crypto.is_device_verified(device):
        return Shield("none", None, device, True, True)
    identity = crypto.devices.identity(sender)
    if identity is not None and identity.was_verified and not crypto.is_user_verified(sender):
        return Shield("red", "identity_changed", device, True)
    if not device.is_cross_signed:
        return Shield("red", "unsigned_device", device, True)
    return Shield("none", "unverified_identity", device, True)
