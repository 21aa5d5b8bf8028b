"""Whose devices there are: followed while it matters, checked before they are believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from libmatrix.api import decode, make_path
from libmatrix.crypto.key_query import read_device, read_identity
from libmatrix.crypto.records import (
    Device,
    Identity,
    decode_device,
    decode_identity,
    encode,
)
from libmatrix.errors import MatrixError

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

_MOST_USERS = 250
_TIMEOUT_MS = 10_000
# How long users of a homeserver that did not answer are left alone.
_PAUSE_SECONDS = 60.0
_MOST_CACHED = 5_000
_CURRENT, _OUTDATED = b"0", b"1"
# Before the user id of devices that were blocked and are not there any more.
_GONE = "gone "


class _Answer(msgspec.Struct):
    device_keys: dict[str, Any] = {}
    failures: dict[str, Any] = {}
    master_keys: dict[str, Any] = {}
    self_signing_keys: dict[str, Any] = {}
    user_signing_keys: dict[str, Any] = {}


class Devices:
    """The devices and identities of the users that are followed."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._store = crypto.store
        self._cache: dict[str, dict[str, Device]] = {}
        self._outdated: dict[str, bool] | None = None
        # Counts up with each change, so that an answer from before it is not taken for current.
        self._changes: dict[str, int] = {}
        self._paused: dict[str, float] = {}
        self._turn = asyncio.Lock()
        # Told of a user whose devices or identity changed: trust and sharing depend on them.
        self.on_change: list[Callable[[str], None]] = []

    # -- reading ------------------------------------------------------------------------------

    def of(self, user_id: str) -> dict[str, Device]:
        """The user's devices by id, as far as they are known. Not to be changed."""
        found = self._cache.get(user_id)
        if found is None:
            if len(self._cache) >= _MOST_CACHED:
                self._cache.clear()
            rows = self._store.devices.of(user_id)
            found = self._cache[user_id] = {key: decode_device(row) for key, row in rows.items()}
        return found

    def get(self, user_id: str, device_id: str) -> Device | None:
        """One device, if it is known."""
        return self.of(user_id).get(device_id)

    def by_key(self, user_id: str, curve25519: str, ed25519: str | None = None) -> Device | None:
        """The user's device with this Curve25519 key.

        Nothing proves that a device holds it, so another may claim it: the one with the Ed25519 key
        that the holder names is meant, if there is one.
        """
        found = [each for each in self.of(user_id).values() if each.curve25519 == curve25519]
        named = [device for device in found if device.ed25519 == ed25519]
        return next(iter(named or found), None)

    def identity(self, user_id: str) -> Identity | None:
        """The user's cross-signing keys, if there are any."""
        data = self._store.identities.get(user_id)
        return decode_identity(data) if data is not None else None

    def is_current(self, user_id: str) -> bool:
        """Whether what is known of the user's devices is what the homeserver knows."""
        return self._flags().get(user_id, True) is False

    # -- changing -----------------------------------------------------------------------------

    def put(self, device: Device) -> None:
        """Keeps a device that was changed here: verified or blocked, for example."""
        self._store.devices.put(device.user_id, device.device_id, encode(device))
        self._cache.pop(device.user_id, None)
        self._tell(device.user_id)

    def put_identity(self, identity: Identity) -> None:
        """Keeps an identity that was changed here: pinned or verified, for example."""
        self._store.identities.put(identity.user_id, "", encode(identity))
        self._tell(identity.user_id)

    def track(self, user_ids: Iterable[str]) -> None:
        """Follows users from now on."""
        flags = self._flags()
        for user_id in user_ids:
            if user_id not in flags:
                self._mark(user_id, is_outdated=True)

    def take_changes(self, changed: list[str], left: list[str]) -> None:
        """What a sync says of users: who has other devices, who is no longer met."""
        flags = self._flags()
        for user_id in changed:
            self.invalidate(user_id)
        for user_id in left:
            # Followed no more: what is known of them would grow old unnoticed.
            if user_id in flags and user_id != self._crypto.user_id:
                del flags[user_id]
                self._changes[user_id] = self._changes.get(user_id, 0) + 1
                self._store.users.delete(user_id)

    def invalidate(self, user_id: str) -> None:
        """Has the user's devices asked for again before they are needed."""
        if user_id in self._flags():
            self._mark(user_id, is_outdated=True)
            self._paused.pop(user_id, None)

    def invalidate_all(self) -> None:
        """The same for everybody, after syncs that were missed."""
        for user_id in list(self._flags()):
            self.invalidate(user_id)

    def _flags(self) -> dict[str, bool]:
        if self._outdated is None:
            rows = self._store.users.all()
            self._outdated = {user: value == _OUTDATED for (user, _), value in rows.items()}
        return self._outdated

    def _mark(self, user_id: str, *, is_outdated: bool) -> None:
        self._flags()[user_id] = is_outdated
        self._store.users.put(user_id, "", _OUTDATED if is_outdated else _CURRENT)
        if is_outdated:
            self._changes[user_id] = self._changes.get(user_id, 0) + 1

    def _tell(self, user_id: str) -> None:
        for listener in self.on_change:
            listener(user_id)

    # -- asking -------------------------------------------------------------------------------

    async def ask(self, user_id: str) -> dict[str, Any]:
        """The devices of a user as the homeserver says, unchecked and not kept."""
        return _devices((await self._query([user_id])).device_keys.get(user_id))

    async def refresh(self, user_ids: Iterable[str], *, force: bool = False) -> None:
        """Has the devices of these users current, as far as their homeservers answer.

        Follows them from now on. Raises what the own homeserver's refusal is.
        """
        wanted = list(dict.fromkeys(user_ids))
        self.track(wanted)
        if force:
            for user_id in wanted:
                self.invalidate(user_id)
        if all(self.is_current(user_id) for user_id in wanted):
            return
        async with self._turn:
            now = self._crypto.client.host.loop.time()
            flags = self._flags()
            due = [
                user_id
                for user_id in wanted
                if flags.get(user_id) and self._paused.get(user_id, now) <= now
            ]
            for start in range(0, len(due), _MOST_USERS):
                await self._refresh(due[start : start + _MOST_USERS])

    async def refresh_quietly(self, user_ids: Iterable[str]) -> None:
        """The same if that can be; what is known must do otherwise."""
        try:
            await self.refresh(user_ids)
        except MatrixError as error:
            text = f"devices could not be asked for: {error.message}"
            self._crypto.client.log.record("warning", "encryption", text, error.code)

    async def refresh_outdated(self) -> None:
        """Has everybody's devices current."""
        await self.refresh([user for user, is_outdated in self._flags().items() if is_outdated])

    async def _refresh(self, user_ids: list[str]) -> None:
        before = {user_id: self._changes.get(user_id, 0) for user_id in user_ids}
        answer = await self._query(user_ids)
        until = self._crypto.client.host.loop.time() + _PAUSE_SECONDS
        for user_id in user_ids:
            has_failed = user_id.partition(":")[2] in answer.failures
            if has_failed and user_id not in answer.device_keys:
                self._paused[user_id] = until
                continue
            self._take(user_id, answer)
            if self._changes.get(user_id, 0) == before[user_id] and user_id in self._flags():
                self._mark(user_id, is_outdated=False)
        self._store.flush()

    async def _query(self, user_ids: list[str]) -> _Answer:
        body = {"timeout": _TIMEOUT_MS, "device_keys": {user_id: [] for user_id in user_ids}}
        path = make_path("keys", "query")
        api = self._crypto.client.api
        return decode(await api.call("POST", path, body=body, wait_ms=_TIMEOUT_MS), _Answer)

    # -- believing ----------------------------------------------------------------------------

    def _take(self, user_id: str, answer: _Answer) -> None:
        """Takes what is said of one user, as far as it is signed and does not contradict."""
        before, known_identity = self.of(user_id), self.identity(user_id)
        identity = self._take_identity(user_id, answer)
        now: dict[str, Device] = {}
        for device_id, raw in _devices(answer.device_keys.get(user_id)).items():
            device = read_device(user_id, device_id, raw, identity)
            if device is None:
                self._report(user_id, device_id, "its keys are malformed or not signed by itself")
                continue
            known = before.get(device_id)
            if known is not None:
                if (known.ed25519, known.curve25519) != (device.ed25519, device.curve25519):
                    self._report(user_id, device_id, "its keys were exchanged: the new are refused")
                    now[device_id] = known
                    continue
                device.is_verified, device.is_blocked = known.is_verified, known.is_blocked
            else:
                device.is_blocked = self._was_blocked(device)
            if self._is_false_own(device):
                self._report(user_id, device_id, "these are not this device's keys")
                continue
            now[device_id] = device
        for device_id in before.keys() - now.keys():
            self._store.devices.delete(user_id, device_id)
            if before[device_id].is_blocked:
                # It may come back, and must not be another one then.
                self._store.devices.put(_GONE + user_id, device_id, encode(before[device_id]))
            else:
                self._store.devices.delete(_GONE + user_id, device_id)
        for device_id, device in now.items():
            if before.get(device_id) != device:
                self._store.devices.put(user_id, device_id, encode(device))
        self._cache[user_id] = now
        if now != before or identity != known_identity:
            self._tell(user_id)

    def _take_identity(self, user_id: str, answer: _Answer) -> Identity | None:
        before = self.identity(user_id)
        fresh = read_identity(
            user_id,
            answer.master_keys.get(user_id),
            answer.self_signing_keys.get(user_id),
            answer.user_signing_keys.get(user_id),
        )
        if fresh is None:
            # Nobody takes a published identity back; a server that hides it gains nothing.
            return before
        if before is not None:
            fresh.pinned = before.pinned
            is_same = fresh.master_key == before.master_key
            fresh.is_verified = before.is_verified and is_same
            fresh.was_verified = before.was_verified or before.is_verified
        else:
            fresh.pinned = fresh.master_key
        if fresh != before:
            self._store.identities.put(user_id, "", encode(fresh))
            if before is not None and before.master_key != fresh.master_key:
                self._crypto.trust.changed(before)
        return fresh

    def _was_blocked(self, device: Device) -> bool:
        """Whether it was blocked before the homeserver took it off the list for a while."""
        row = self._store.devices.get(_GONE + device.user_id, device.device_id)
        return row is not None and decode_device(row).curve25519 == device.curve25519

    def _is_false_own(self, device: Device) -> bool:
        crypto = self._crypto
        if (device.user_id, device.device_id) != (crypto.user_id, crypto.device_id):
            return False
        own = crypto.account
        return (device.ed25519, device.curve25519) != (own.ed25519, own.curve25519)

    def _report(self, user_id: str, device_id: str, what: str) -> None:
        text = f"device {device_id} of {user_id}: {what}"
        self._crypto.client.log.record("warning", "encryption", text, "E_DEVICE_KEYS")
        self._crypto.refused_device(user_id, device_id, what)


def _devices(said: Any) -> dict[str, Any]:
    return said if isinstance(said, dict) else {}
