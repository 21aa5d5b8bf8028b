"""The account's identity: its private keys, what they sign, and how it comes to be.

Specification: client-server API, end-to-end encryption, cross-signing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from libmatrix.api import make_path
from libmatrix.crypto.records import Device, Identity, public_key
from libmatrix.crypto.signatures import SigningKey, decode_base64, encode_base64, sign
from libmatrix.errors import (
    ArgumentError,
    HomeserverError,
    IdentityExistsError,
    IdentityMismatchError,
    MissingSecretError,
    NoIdentityError,
)

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

Usage = Literal["master", "self_signing", "user_signing"]
USAGES: tuple[Usage, ...] = ("master", "self_signing", "user_signing")
_PREFIX = "m.cross_signing."
SECRETS = tuple(_PREFIX + usage for usage in USAGES)
# Made, and perhaps uploaded already: kept until that is known.
_PENDING = "pending_cross_signing"

Upload = Callable[[dict[str, Any]], Awaitable[None]]


class _Failure(msgspec.Struct):
    errcode: Any = None
    error: Any = None


class _Signed(msgspec.Struct):
    failures: dict[str, dict[str, _Failure]] = {}


class NewKeys:
    """Three private keys, and the public ones as they are published."""

    def __init__(self, keys: dict[Usage, SigningKey]) -> None:
        self.keys = keys

    @classmethod
    def create(cls) -> NewKeys:
        """New keys."""
        return cls({usage: SigningKey.create() for usage in USAGES})

    @classmethod
    def decode(cls, data: bytes) -> NewKeys:
        """Keys that were kept."""
        seeds = msgspec.json.decode(data, type=dict[Usage, str])
        return cls({usage: SigningKey(decode_base64(seed)) for usage, seed in seeds.items()})

    def encode(self) -> bytes:
        """What to keep."""
        return msgspec.json.encode({u: encode_base64(key.seed) for u, key in self.keys.items()})

    def publishable(self, crypto: Crypto) -> dict[str, Any]:
        """The body of the upload: the master key signed by the device, the others by it."""
        user_id, master = crypto.user_id, self.keys["master"]
        body = {}
        for usage, key in self.keys.items():
            public = key.public_key
            raw = {"user_id": user_id, "usage": [usage], "keys": {f"ed25519:{public}": public}}
            if usage == "master":
                body[f"{usage}_key"] = crypto.account.sign(raw)
            else:
                body[f"{usage}_key"] = sign(master, raw, user_id, f"ed25519:{master.public_key}")
        return body


class CrossSigning:
    """Owns the private cross-signing keys."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._secrets = crypto.store.secrets
        # Only one at a time makes, adopts or signs.
        self._turn = asyncio.Lock()

    def key(self, usage: Usage) -> SigningKey | None:
        """A private key that is here and belongs to the identity that is published."""
        kept, own = self._secrets.get(_PREFIX + usage), self._crypto.trust.own
        if kept is None or own is None:
            return None
        key = SigningKey(decode_base64(kept.decode()))
        return key if key.public_key == _public(own, usage) else None

    def secrets(self) -> dict[str, str]:
        """The private keys that are here, by their names in secret storage."""
        found = {_PREFIX + usage: self.key(usage) for usage in USAGES}
        return {name: encode_base64(key.seed) for name, key in found.items() if key is not None}

    # -- making -------------------------------------------------------------------------------

    async def bootstrap(self, upload: Upload, *, reset: bool) -> tuple[Identity, bool]:
        """The account's identity, and whether it was made now. `upload` publishes its keys.

        Raises `IdentityExistsError` when there is one whose keys are not here, unless `reset`.
        """
        async with self._turn:
            own = await self.refresh()
            if own is not None and not reset:
                # Another master key may have signed the real self-signing key: that proves nothing.
                if self.key("self_signing") is None or not own.is_verified:
                    raise IdentityExistsError
                await self._sign_own_device()
                return own, False
            keys = NewKeys.create()
            # Before the upload: a crash after it must not lose what was published.
            self._secrets.put(_PENDING, "", keys.encode())
            self._crypto.store.flush()
            await upload(keys.publishable(self._crypto))
            own = await self.refresh()
            if own is None or own.master_key != keys.keys["master"].public_key:
                raise IdentityMismatchError("the homeserver shows another identity than was made")
            await self._sign_own_device()
            return own, True

    async def refresh(self) -> Identity | None:
        """One's own identity as the homeserver has it now."""
        await self._crypto.ready()
        await self._crypto.devices.refresh([self._crypto.user_id], force=True)
        self._settle()
        return self._crypto.trust.own

    def _settle(self) -> None:
        """Keys that were about to be published count when they were, and are gone otherwise."""
        data, own = self._secrets.get(_PENDING), self._crypto.trust.own
        if data is None or own is None:
            return
        keys = NewKeys.decode(data).keys
        if keys["master"].public_key != own.master_key:
            return
        for usage, key in keys.items():
            self._secrets.put(_PREFIX + usage, "", encode_base64(key.seed).encode())
        self._secrets.delete(_PENDING)
        self._crypto.trust.trust_own()
        self._crypto.store.flush()

    # -- taking over --------------------------------------------------------------------------

    async def adopt(self, secrets: dict[str, str]) -> Identity:
        """Takes private keys from secret storage, and signs this device with them.

        Raises when they are not those of the identity that is published, or too few.
        """
        async with self._turn:
            own = await self.refresh()
            if own is None:
                raise NoIdentityError(self._crypto.user_id)
            found = {u: s for u in USAGES if (s := secrets.get(_PREFIX + u)) is not None}
            if "self_signing" not in found:
                raise MissingSecretError(SECRETS[1])
            if "master" not in found and not own.is_verified:
                # The others are no proof: whoever made up a master key can have it sign them.
                raise MissingSecretError(SECRETS[0])
            for usage, secret in found.items():
                self.take(usage, secret, own)
            self._crypto.trust.trust_own()
            self._crypto.store.flush()
            await self._sign_own_device()
            return own

    def take(self, usage: Usage, secret: str, own: Identity) -> None:
        """Keeps one private key, if it belongs to the identity. Raises `IdentityMismatchError`."""
        try:
            key = SigningKey(decode_base64(secret.strip()))
        except ValueError:
            raise IdentityMismatchError(f"{_PREFIX}{usage} is not a key") from None
        if key.public_key != _public(own, usage):
            raise IdentityMismatchError(f"{_PREFIX}{usage} is not that of the published identity")
        self._secrets.put(_PREFIX + usage, "", encode_base64(key.seed).encode())

    # -- signing ------------------------------------------------------------------------------

    async def sign_user(self, user_id: str, master_key: str | None = None) -> None:
        """Vouches for another user. `master_key`: the one that was compared.

        Raises `NoIdentityError`.
        """
        crypto = self._crypto
        if user_id == crypto.user_id:
            await self.trust_master(master_key)
            return
        async with self._turn:
            await crypto.devices.refresh([user_id, crypto.user_id], force=True)
            identity, key = crypto.devices.identity(user_id), self._require("user_signing")
            if identity is None:
                raise NoIdentityError(user_id)
            _require_same(master_key, identity.master_key)
            raw = _bare(identity.master)
            signed = sign(key, raw, crypto.user_id, f"ed25519:{key.public_key}")
            await self._upload({user_id: {identity.master_key: signed}})
            # What was signed, not what the homeserver shows by now.
            current = crypto.devices.identity(user_id)
            if current is not None and current.master_key == identity.master_key:
                crypto.trust.believe(current)
                crypto.store.flush()

    async def sign_device(self, device_id: str, device_key: str | None = None) -> None:
        """Vouches for another device of one's own. `device_key`: the one that was compared.

        Raises `HomeserverError`.
        """
        crypto = self._crypto
        async with self._turn:
            await crypto.devices.refresh([crypto.user_id], force=True)
            device, key = crypto.devices.get(crypto.user_id, device_id), self._require()
            if device is None:
                raise HomeserverError(f"no device {device_id}", code="M_NOT_FOUND")
            _require_same(device_key, device.ed25519)
            await self._sign_device(device, key)
            await crypto.devices.refresh([crypto.user_id], force=True)

    async def sign_own_device(self) -> None:
        """Has the identity vouch for this device, if its key is here and it does not yet."""
        async with self._turn:
            if self.key("self_signing") is not None and self._crypto.trust.is_own_trusted:
                await self._sign_own_device()

    async def trust_master(self, master_key: str | None) -> None:
        """One's own identity is this one: another device, or a person, has compared it.

        Raises `ArgumentError` and `NoIdentityError`.
        """
        if master_key is None:
            raise ArgumentError("master_key: of oneself it has to be given")
        own = await self.refresh()
        if own is None:
            raise NoIdentityError(self._crypto.user_id)
        _require_same(master_key, own.master_key)
        self._crypto.trust.trust_own()
        self._crypto.store.flush()

    async def _sign_own_device(self) -> None:
        """Has the identity vouch for this device, and the device for the identity."""
        crypto, key, own = self._crypto, self._require(), self._crypto.trust.own
        assert own is not None
        known = crypto.devices.get(crypto.user_id, crypto.device_id)
        if known is not None and known.is_cross_signed:
            return
        device = sign(key, crypto.account.device_keys(), own.user_id, f"ed25519:{key.public_key}")
        master = crypto.account.sign(_bare(own.master))
        await self._upload({own.user_id: {crypto.device_id: device, own.master_key: master}})
        await crypto.devices.refresh([own.user_id], force=True)

    async def _sign_device(self, device: Device, key: SigningKey) -> None:
        raw = _bare(device.keys)
        signed = sign(key, raw, device.user_id, f"ed25519:{key.public_key}")
        await self._upload({device.user_id: {device.device_id: signed}})

    async def _upload(self, signatures: dict[str, dict[str, Any]]) -> None:
        path = make_path("keys", "signatures", "upload")
        answer = await self._crypto.client.api.post(_Signed, path, signatures)
        for failures in answer.failures.values():
            for failure in failures.values():
                raise _refused(failure)

    def _require(self, usage: Usage = "self_signing") -> SigningKey:
        if self._crypto.trust.own is None:
            raise NoIdentityError(self._crypto.user_id)
        key = self.key(usage)
        if key is None:
            raise MissingSecretError(_PREFIX + usage)
        return key


def _public(identity: Identity, usage: Usage) -> str | None:
    return public_key(getattr(identity, usage))


def _bare(obj: dict[str, Any]) -> dict[str, Any]:
    """A signed object without its signatures: only the new one is uploaded."""
    return {name: value for name, value in obj.items() if name not in ("signatures", "unsigned")}


def _require_same(expected: str | None, found: str) -> None:
    if expected is not None and expected.rstrip("=") != found.rstrip("="):
        raise IdentityMismatchError("the key is another one than was compared")


def _refused(failure: _Failure) -> HomeserverError:
    code = failure.errcode if isinstance(failure.errcode, str) else HomeserverError.CODE
    text = failure.error if isinstance(failure.error, str) else "a signature was refused"
    return HomeserverError(" ".join(text.split())[:300], code=code[:100])
