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
# Of one user; own identities sign no more, and real users have fewer.
_MOST_DEVICES = 1_000
# Users who are followed for what they sent alone.
_MOST_STRANGERS = 2_000
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
        # Those who are followed for what they sent alone, and the room that was of.
        self._strangers: dict[str, str] = {}
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

    def is_stranger(self, user_id: str) -> bool:
        """Whether nothing but what the user sent is a reason to follow them."""
        return user_id not in self._flags() or user_id in self._strangers

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

    def track(self, user_ids: Iterable[str], *, room_id: str | None = None) -> None:
        """Follows users from now on.

        `room_id`: only because they sent something, of that room or, "", of none. Of such users
        who are not known to be there the last count.
        """
        flags = self._flags()
        for user_id in user_ids:
            is_new = user_id not in flags
            if is_new:
                self._mark(user_id, is_outdated=True)
            before = self._strangers.get(user_id)
            if room_id is None or self._is_member(room_id, user_id):
                self._no_stranger(user_id)
            elif is_new or before is not None:
                self._strangers.pop(user_id, None)
                self._strangers[user_id] = room_id or before or ""
                self._keep(user_id)
        self._limit_strangers()

    def _is_member(self, room_id: str, user_id: str) -> bool:
        state = self._crypto.client.state
        room = state.rooms.get(room_id)
        if room is None or room.membership != "join":
            return False
        member = state.member(room_id, user_id)
        return member is not None and member.membership in ("join", "invite")

    def _no_stranger(self, user_id: str) -> None:
        if self._strangers.pop(user_id, None) is not None:
            self._keep(user_id)

    def _limit_strangers(self) -> None:
        while len(self._strangers) > _MOST_STRANGERS:
            user_id, room_id = next(iter(self._strangers.items()))
            identity = self.identity(user_id)
            is_known = identity is not None and identity.was_verified
            is_known |= any(
                each.is_verified or each.is_blocked for each in self.of(user_id).values()
            )
            self._no_stranger(user_id)
            if not is_known and not self._is_member(room_id, user_id):
                self._forget(user_id)

    def _forget(self, user_id: str) -> None:
        """Knows nothing of a user any more."""
        self._flags().pop(user_id, None)
        self._changes.pop(user_id, None)
        self._paused.pop(user_id, None)
        self._cache.pop(user_id, None)
        self._store.users.delete(user_id)
        self._store.devices.delete_all(user_id)
        self._store.identities.delete(user_id)
        self._tell(user_id)

    def take_changes(self, changed: list[str], left: list[str]) -> None:
        """What a sync says of users: who has other devices, who is no longer met."""
        flags = self._flags()
        for user_id in changed:
            self.invalidate(user_id)
        for user_id in left:
            # Followed no more: what is known of them would grow old unnoticed.
            if user_id in flags and user_id != self._crypto.user_id:
                del flags[user_id]
                self._strangers.pop(user_id, None)
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
            self._outdated = {user: value[:1] == _OUTDATED for (user, _), value in rows.items()}
            for (user, _), value in rows.items():
                if len(value) > 1:
                    self._strangers[user] = value[2:].decode()
        return self._outdated

    def _mark(self, user_id: str, *, is_outdated: bool) -> None:
        self._flags()[user_id] = is_outdated
        self._keep(user_id)
        if is_outdated:
            self._changes[user_id] = self._changes.get(user_id, 0) + 1

    def _keep(self, user_id: str) -> None:
        value = _OUTDATED if self._flags()[user_id] else _CURRENT
        room_id = self._strangers.get(user_id)
        if room_id is not None:
            value += b" " + room_id.encode()
        self._store.users.put(user_id, "", value)

    def _tell(self, user_id: str) -> None:
        for listener in self.on_change:
            listener(user_id)

    # -- asking -------------------------------------------------------------------------------

    async def ask(self, user_id: str) -> dict[str, Any]:
        """The devices of a user as the homeserver says, unchecked and not kept."""
        return _devices((await self._query([user_id])).device_keys.get(user_id))

    async def refresh(
        self, user_ids: Iterable[str], *, force: bool = False, room_id: str | None = None
    ) -> None:
        """Has the devices of these users current, as far as their homeservers answer.

        Follows them from now on, see `track`. Raises what the own homeserver's refusal is.
        """
        wanted = list(dict.fromkeys(user_ids))
        self.track(wanted, room_id=room_id)
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

    async def refresh_quietly(self, user_ids: Iterable[str], *, room_id: str | None = None) -> None:
        """The same if that can be; what is known must do otherwise."""
        try:
            await self.refresh(user_ids, room_id=room_id)
        except MatrixError as error:
            text = f"devices could not be asked for: {error.message}"
            self._crypto.client.log.record("warning", "encryption", text, error.code)

    async def refresh_outdated(self) -> None:
        """Has everybody's devices current."""
        outdated = [user for user, is_outdated in self._flags().items() if is_outdated]
        await self.refresh(outdated, room_id="")

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
        for device_id, raw in self._choose(user_id, answer, identity):
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

    def _choose(
        self, user_id: str, answer: _Answer, identity: Identity | None
    ) -> list[tuple[str, Any]]:
        """The devices of an answer; of too many those that are known, then those that seem signed.

        Checking signatures takes longer than making them up.
        """
        said = _devices(answer.device_keys.get(user_id))
        if len(said) <= _MOST_DEVICES:
            return list(said.items())
        self._log(f"only {_MOST_DEVICES} of the {len(said)} devices of {user_id} count")
        key_id = f"ed25519:{identity.self_signing_key if identity is not None else None}"
        known = self.of(user_id)

        def rank(item: tuple[str, Any]) -> int:
            signed = item[1].get("signatures") if isinstance(item[1], dict) else None
            own = signed.get(user_id) if isinstance(signed, dict) else None
            return 0 if item[0] in known else 1 if isinstance(own, dict) and key_id in own else 2

        return sorted(said.items(), key=rank)[:_MOST_DEVICES]

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
        self._log(f"device {device_id} of {user_id}: {what}")
        self._crypto.refused_device(user_id, device_id, what)

    def _log(self, text: str) -> None:
        self._crypto.client.log.record("warning", "encryption", text, "E_DEVICE_KEYS")


def _devices(said: Any) -> dict[str, Any]:
    return said if isinstance(said, dict) else {}
