"""What a verification is about, in the store, and what follows when it has succeeded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from libmatrix.crypto.verification.contents import Party
from libmatrix.crypto.verification.keys import Verified
from libmatrix.errors import MatrixError, TransportError

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

_ED25519 = "ed25519:"
# What was proven counts here at once; signatures are tried while the network may come back.
_TRIES = 5
_PAUSE_SECONDS = 2.0


class StoredKeys:
    """The keys as this client knows them at the moment of asking."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto

    def own(self) -> dict[str, str]:
        """This device's key, and the user's master key where this device trusts it."""
        crypto = self._crypto
        found = {_ED25519 + crypto.device_id: crypto.account.ed25519}
        master = self.master(crypto.user_id) if self.trusts_own() else None
        # A device named like a master key could be taken for it.
        if master is not None and master != crypto.device_id:
            found[_ED25519 + master] = master
        return found

    def other(self, party: Party) -> dict[str, str]:
        """The other device's key and its user's master key, as far as they are known."""
        device = self._crypto.devices.get(*party)
        master = self.master(party.user_id)
        if master == party.device_id:
            return {}
        found = {_ED25519 + party.device_id: device.ed25519} if device is not None else {}
        if master is not None:
            found[_ED25519 + master] = master
        return found

    def master(self, user_id: str) -> str | None:
        """A user's master key, trusted or not."""
        identity = self._crypto.devices.identity(user_id)
        return identity.master_key if identity is not None else None

    def trusts_own(self) -> bool:
        """Whether this device trusts its own user's master key."""
        return self._crypto.trust.is_own_trusted


async def believe(crypto: Crypto, verified: Verified) -> None:
    """Keeps what was proven, and tells others by signatures as far as there are keys for it.

    What cannot be signed is logged: what was proven to this device stays so.
    """
    party, keys = verified
    device_key = keys.get(_ED25519 + party.device_id)
    identity = crypto.devices.identity(party.user_id)
    master_key = identity.master_key if identity is not None else ""
    proven_master = master_key if _ED25519 + master_key in keys else None
    _mark_device(crypto, party, device_key)
    crypto.store.flush()
    for tries_left in reversed(range(_TRIES)):
        try:
            await _sign(crypto, party, device_key, proven_master)
        except MatrixError as error:
            if tries_left and isinstance(error, TransportError):
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            text = f"{party.user_id} is verified, but could not be signed: {error.message}"
            crypto.client.log.record("warning", "encryption", text, error.code)
        break
    if party.user_id == crypto.user_id and crypto.trust.is_own_trusted:
        crypto.spawn(crypto.secret_sharing.request_missing())


def _mark_device(crypto: Crypto, party: Party, device_key: str | None) -> None:
    device = crypto.devices.get(*party)
    if device is not None and device.ed25519 == device_key:
        crypto.devices.put(msgspec.structs.replace(device, is_verified=True))


async def _sign(
    crypto: Crypto, party: Party, device_key: str | None, master_key: str | None
) -> None:
    if master_key is not None:
        await _believe_user(crypto, party.user_id, master_key)
    can_sign = crypto.cross_signing.key("self_signing") is not None
    if party.user_id == crypto.user_id and device_key is not None and can_sign:
        await crypto.cross_signing.sign_device(party.device_id, device_key)


async def _believe_user(crypto: Crypto, user_id: str, master_key: str) -> None:
    if user_id == crypto.user_id:
        if not crypto.trust.is_own_trusted:
            await crypto.cross_signing.trust_master(master_key)
    elif crypto.cross_signing.key("user_signing") is not None:
        await crypto.cross_signing.sign_user(user_id, master_key)
    else:
        text = f"{user_id} is verified by this device alone: it has no key to sign users with"
        crypto.client.log.record("info", "encryption", text)
