"""Who is who: what signatures prove of users and devices.

A user is verified when one's own identity, trusted by this device, has signed the user's master
key. A device is cross-signed when its owner vouches for it, and verified when that owner is
verified too, or when the device was verified by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from libmatrix import frames
from libmatrix.crypto.records import Device, Identity
from libmatrix.crypto.signatures import verify_signature
from libmatrix.table_gen import IdentityChange

if TYPE_CHECKING:
    from libmatrix.crypto.devices import Devices
    from libmatrix.crypto.machine import Crypto
    from libmatrix.table_gen import DeviceTrustLevel, Output, UserTrustLevel


_encode = msgspec.json.Encoder().encode


class Trust:
    """Keeps what is believed of users in step with what is proven."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._devices: Devices = crypto.devices
        # The master key before, of those who have another one and were not looked at since.
        self._changed: dict[str, str] = {}
        # One's own identity when everybody was looked at last: others depend on it.
        self._own_then: tuple[str | None, ...] = ()
        self._devices.on_change.append(self.check)

    @property
    def own(self) -> Identity | None:
        """One's own identity as published, trusted or not."""
        return self._devices.identity(self._crypto.user_id)

    @property
    def is_own_trusted(self) -> bool:
        """Whether this device is sure of its user's identity."""
        own = self.own
        return own is not None and own.is_verified

    def trust_own(self) -> None:
        """This device made its user's identity, or holds its secret."""
        own = self.own
        assert own is not None
        self._believe(own)

    def believe(self, identity: Identity) -> None:
        """A user was verified, and one's own identity has signed the master key."""
        self._believe(identity)

    def accept(self, identity: Identity) -> None:
        """Takes an identity as it is; that the user was verified once is forgotten."""
        fresh = msgspec.structs.replace(
            identity, pinned=identity.master_key, was_verified=identity.is_verified
        )
        if fresh != identity:
            self._devices.put_identity(fresh)

    def changed(self, before: Identity) -> None:
        """A user has another identity than this; it is told once it was looked at."""
        self._changed[before.user_id] = before.master_key
        text = f"{before.user_id} has another identity: a new master key"
        self._crypto.client.log.record("warning", "encryption", text)

    def check(self, user_id: str) -> None:
        """Looks anew at a user of whom something changed."""
        if user_id == self._crypto.user_id:
            self._check_all()
        else:
            self._check(user_id)
        old_key, identity = self._changed.pop(user_id, None), self._devices.identity(user_id)
        if old_key is not None and identity is not None:
            change = IdentityChange(
                kind="identity",
                user_id=user_id,
                trust=self.of_user(user_id),
                master_key=identity.master_key,
                old_master_key=old_key,
            )
            announce(self._crypto, "identity", change)

    def of_user(self, user_id: str) -> UserTrustLevel:
        """How far a user can be trusted."""
        identity = self._devices.identity(user_id)
        if identity is None:
            return "no_identity"
        if identity.is_verified:
            return "verified"
        if not identity.has_changed:
            return "unverified"
        return "violated" if identity.was_verified else "changed"

    def of_device(self, device: Device) -> DeviceTrustLevel:
        """How far a device can be trusted."""
        if device.is_blocked:
            return "blocked"
        if device.is_verified or self._is_own_device(device):
            return "verified"
        if not device.is_cross_signed:
            return "unverified"
        is_verified = self.of_user(device.user_id) == "verified"
        return "verified" if is_verified else "cross_signed"

    # -- inside -------------------------------------------------------------------------------

    def _check_all(self) -> None:
        own = self.own
        now = (own.master_key, own.user_signing_key, str(own.is_verified)) if own else ()
        if now != self._own_then:
            self._own_then = now
            for known, _ in self._crypto.store.identities.places():
                self._check(known)

    def _check(self, user_id: str) -> None:
        identity = self._devices.identity(user_id)
        if identity is None or user_id == self._crypto.user_id:
            return
        is_verified = self._is_signed(identity)
        if is_verified:
            self._believe(identity)
        elif identity.is_verified and not self.is_own_trusted:
            # Another identity of one's own has verified nobody yet.
            fresh = msgspec.structs.replace(identity, is_verified=False, was_verified=True)
            self._devices.put_identity(fresh)

    def _believe(self, identity: Identity) -> None:
        key = identity.master_key
        fresh = msgspec.structs.replace(identity, is_verified=True, was_verified=True, pinned=key)
        if fresh != identity:
            self._devices.put_identity(fresh)

    def _is_signed(self, identity: Identity) -> bool:
        own = self.own
        if own is None or not own.is_verified or own.user_signing_key is None:
            return False
        key = own.user_signing_key
        return verify_signature(identity.master, own.user_id, f"ed25519:{key}", key)

    def _is_own_device(self, device: Device) -> bool:
        crypto = self._crypto
        return (device.user_id, device.device_id) == (crypto.user_id, crypto.device_id)


def announce(crypto: Crypto, kind: str, record: Output) -> None:
    """Tells who subscribed; what it says can be asked for as well."""
    client = crypto.client
    handles = client.subscriptions.of(kind)
    if handles:
        payload = _encode(record)
        for handle in handles:
            client.host.outbox.add(frames.EVENT, client.context, handle, payload)
