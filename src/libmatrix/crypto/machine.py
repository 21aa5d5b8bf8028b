"""One client's encryption: the only owner of keys, sessions and devices.

`client.crypto` is this object. What else uses it:

* `await crypto.ready()` before anything that others must be able to answer: the device's keys are
  at the homeserver afterwards.
* `await crypto.encrypt_event(room_id, type, content)` gives type and content to send.
* `await crypto.send_to_device(type, {user_id: {device_id: content}}, encrypted=True)`.
* `crypto.on_to_device(type, handler)`: `handler(sender, device, content)` is called while a sync is
  handled. `device` has proved to be the sender by Olm; it is None for what came in clear. A handler
  does not wait; work that has to goes to `crypto.spawn(coroutine)`. What it puts into
  `crypto.store` is written with the sync's token.
* `crypto.devices`: users' devices and identities; `devices.on_change` tells of new ones.
* `crypto.room_keys`: inbound sessions; `room_keys.on_new`, `export`, `take_exported`.
* `crypto.store`: tables; `store.flush()` before a request that depends on what was put there.
* `crypto.verifications`: those that go on.
* `crypto.on_missing_key`: called with room and session id when an event cannot be decrypted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from libmatrix.crypto.account import MEGOLM, Account
from libmatrix.crypto.claim import Claims
from libmatrix.crypto.decrypt import Decryptor
from libmatrix.crypto.device_lists import DeviceListUpdates
from libmatrix.crypto.devices import Devices
from libmatrix.crypto.hidden import Hidden
from libmatrix.crypto.key_requests import KeyRequests
from libmatrix.crypto.late import Late
from libmatrix.crypto.olm import Olm
from libmatrix.crypto.outbound import Outbound, fetch_settings
from libmatrix.crypto.parts import Parts
from libmatrix.crypto.quota import Quota
from libmatrix.crypto.records import Device
from libmatrix.crypto.room_keys import RoomKeys
from libmatrix.crypto.store import CryptoStore
from libmatrix.crypto.to_device import Handler, Incoming, Shown, ToDevice
from libmatrix.crypto.trust import Trust
from libmatrix.crypto.trust_levels import Policy
from libmatrix.crypto.withheld import Withheld
from libmatrix.errors import MatrixError, is_defect, map_error, places
from libmatrix.rooms.room import ENCRYPTION
from libmatrix.store.seal import Vault
from libmatrix.tasks import time_limit

if TYPE_CHECKING:
    from libmatrix.client import Client
    from libmatrix.store.state import Changes
    from libmatrix.sync.response import SyncResponse

# A new session with a device that cannot decrypt what we send, at most so often.
_UNWEDGE_MS = 3_600_000
_DEVICES_SECONDS = 5.0
# Whose homeserver took longer is not waited for by the syncs of the next minute.
_SLOW_SECONDS = 60.0
# Devices that wait for a new session: of one user, and of all.
_MOST_WEDGED_OF_ONE = 5
_MOST_WEDGED = 100
_RETRY_SECONDS = 5.0
# Tables that are of no use to another device of the user.
_OF_A_DEVICE = (
    "values",
    "olm_sessions",
    "stranger_sessions",
    "outbound",
    "shares",
    "received",
)
_LONGEST_RETRY_SECONDS = 300.0

_encode = msgspec.json.Encoder().encode


class Crypto(Parts):
    """Everything about encryption of one client; made when it is first needed."""

    def __init__(self, client: Client, vault: Vault, user_id: str, device_id: str) -> None:
        self.client = client
        self.user_id = user_id
        self.device_id = device_id
        # Counts up when what is known of devices and trust changes.
        self.trust_stamp = 0
        self.is_closed = False
        self.on_missing_key: list[Callable[[str, str], None]] = []
        self.store: CryptoStore = CryptoStore(client.state, client.options.store_path, vault)
        self.devices: Devices = Devices(self)
        self.account = self._open_account()
        self._device_lists = DeviceListUpdates(self)
        self.olm = Olm(self)
        self.claims = Claims(self)
        self.to_device: ToDevice = ToDevice(self)
        self.room_keys: RoomKeys = RoomKeys(self)
        options = client.options
        self.policy = Policy(self, options.send_keys_to, options.show_messages_from)
        self.outbound = Outbound(self)
        self.decryptor = Decryptor(self)
        self.key_requests = KeyRequests(self)
        self._tasks: set[asyncio.Task[None]] = set()
        self._uploading = asyncio.Lock()
        self._upkeep: asyncio.Task[None] | None = None
        self._wants_upkeep = False
        self._retry_seconds = 0.0
        self._wedged: Quota[tuple[str, str]] = Quota(_MOST_WEDGED_OF_ONE, _MOST_WEDGED, tuple)
        self._fresh_senders: set[str] = set()
        # Users whose devices took too long to ask for, and until when.
        self._slow: dict[str, float] = {}
        self.devices.on_change.append(self._trust_changed)
        self.devices.track([user_id])
        self.hidden = Hidden(self)
        self.late = Late(self)
        self.to_device.on_incoming("m.room_key", self._take_room_key)
        self.withheld = Withheld(self)
        self.trust: Trust = Trust(self)
        self.begin_parts()

    def _open_account(self) -> Account:
        account = Account(self)
        if account.owner != (self.user_id, self.device_id):
            # Another device of the user: nothing of the old one's channels is of use to it.
            for name in _OF_A_DEVICE:
                table = getattr(self.store, name)
                for key in table.places():
                    table.delete(*key)
            account = Account(self)
        return account

    def close(self) -> list[asyncio.Task[None]]:
        """Ends what runs, which is returned, and has no part in the store any more."""
        self.is_closed = True
        tasks = [*self._tasks, *self.close_parts()]
        for task in tasks:
            task.cancel()
        self.store.close()
        return tasks

    # -- what others use ----------------------------------------------------------------------

    async def ready(self) -> None:
        """Has the device's keys at the homeserver; raises `EncryptionError` if they cannot be."""
        if not self.account.is_published:
            async with self._uploading:
                if not self.account.is_published:
                    await self.account.upload()

    async def encrypt_event(
        self, room_id: str, event_type: str, content: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """Type and content to send to an encrypted room instead of these."""
        await self.ready()
        return await self.outbound.encrypt(room_id, event_type, content)

    async def send_to_device(
        self, event_type: str, messages: dict[str, dict[str, Any]], *, encrypted: bool
    ) -> list[Device]:
        """Sends to devices, by user and device id; gives those that could not be reached."""
        return await self.to_device.send(event_type, messages, encrypted=encrypted)

    def on_to_device(self, event_type: str, handler: Handler) -> None:
        """Has a handler called for each to-device event of a type."""
        self.to_device.on(event_type, handler)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Does work beside everything else; what goes wrong is logged."""
        task = self.client.host.loop.create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            if self.client.host.loop.is_closed():
                return
            failure = map_error(error)
            text = places(error) if is_defect(error) else failure.message
            self.client.log.record("warning", "encryption", text, failure.code)

    def own_device_keys(self) -> dict[str, Any]:
        """This device's keys with all their signatures, as they are known."""
        own = self.devices.get(self.user_id, self.device_id)
        return own.keys if own is not None and own.keys else self.account.device_keys()

    # -- trust --------------------------------------------------------------------------------

    def is_user_verified(self, user_id: str) -> bool:
        """Whether the user's identity is verified by the own one, and is still the same."""
        identity = self.devices.identity(user_id)
        return identity is not None and identity.is_verified and not identity.has_changed

    def is_device_verified(self, device: Device) -> bool:
        """Whether a device is surely its user's: by hand, or by a verified identity."""
        if (device.user_id, device.device_id) == (self.user_id, self.device_id):
            return device.curve25519 == self.account.curve25519
        if device.is_verified:
            return True
        return device.is_cross_signed and self.is_user_verified(device.user_id)

    def _trust_changed(self, user_id: str) -> None:
        self.trust_stamp += 1

    def refused_device(self, user_id: str, device_id: str, why: str) -> None:
        """The homeserver tells keys of a device that must not be believed."""
        from libmatrix import frames
        from libmatrix.table_gen import DeviceAlert

        alert = DeviceAlert(user_id=user_id, device_id=device_id, reason=why)
        payload = _encode(alert)
        for handle in self.client.subscriptions.of("device_alert"):
            self.client.host.outbox.add(frames.EVENT, self.client.context, handle, payload)

    # -- rooms --------------------------------------------------------------------------------

    async def room_encryption(self, room_id: str) -> dict[str, Any] | None:
        """The content of the room's m.room.encryption; None when the room surely has none.

        A room that was encrypted once is so for ever, whatever the homeserver says now.
        """
        state = self.client.state
        data = state.event(room_id, ENCRYPTION, "")
        content: Any = None
        if data is not None:
            content = msgspec.json.decode(data).get("content")
        else:
            content = await fetch_settings(self, room_id)
        if isinstance(content, dict) and isinstance(content.get("algorithm"), str):
            if content["algorithm"] == MEGOLM:
                self.store.rooms.put(room_id, "", _encode(content))
            return content
        kept = self.store.rooms.get(room_id)
        if kept is not None:
            remembered: dict[str, Any] = msgspec.json.decode(kept)
            return remembered
        return content if isinstance(content, dict) else None

    def missing_key(self, room_id: str, session_id: str) -> None:
        """An event could not be decrypted."""
        for listener in self.on_missing_key:
            listener(room_id, session_id)

    # -- a sync -------------------------------------------------------------------------------

    def sync_begins(self) -> None:
        """A sync is about to be asked for."""
        if not self.account.is_published:
            self.keep_up()

    async def take_sync(self, response: SyncResponse, changes: Changes, *, is_whole: bool) -> Shown:
        """Takes what a sync has for encryption, before its timelines are delivered.

        `is_whole`: it follows no other, or its list of changed devices is broken.
        Returns the to-device events that the host may see.
        """
        await self._device_lists.take(response, changes, is_whole=is_whole)
        self.account.take_counts(
            response.device_one_time_keys_count, response.device_unused_fallback_key_types
        )
        self.late.is_held = True
        try:
            shown = await self.to_device.receive(response.to_device.events)
            changes.before_commit.append(self.to_device.committed)
            changes.before_commit.append(self._after_commit)
            if self._fresh_senders:
                senders, self._fresh_senders = self._fresh_senders, set()
                await self._meet(senders)
        finally:
            self.late.is_held = False
        return shown

    async def _meet(self, senders: set[str]) -> None:
        """Asks for the devices of who sent keys, so that their first event is not a stranger's."""
        now = self.client.host.loop.time()
        self._slow = {user_id: until for user_id, until in self._slow.items() if until > now}
        senders -= self._slow.keys()
        try:
            async with time_limit(_DEVICES_SECONDS):
                await self.devices.refresh_quietly(senders, room_id="")
        except TimeoutError:
            # They are asked for beside the syncs; until then the sender's device is not known.
            self._slow.update(dict.fromkeys(senders, now + _SLOW_SECONDS))

    def _after_commit(self) -> None:
        self.client.host.loop.call_soon(self.keep_up)

    def _take_room_key(self, incoming: Incoming) -> None:
        taken = self.room_keys.take_direct(incoming)
        if taken is not None:
            self.devices.track([incoming.sender], room_id=taken[0])
            self._fresh_senders.add(incoming.sender)

    def wedged(self, user_id: str, curve25519: str) -> None:
        """A device encrypts with a session that does not work."""
        self._wedged.add(user_id, (user_id, curve25519))

    # -- upkeep -------------------------------------------------------------------------------

    def keep_up(self) -> None:
        """Sees to keys, devices and sessions, beside everything else and once at a time."""
        self._wants_upkeep = True
        if self._upkeep is None or self._upkeep.done():
            self._upkeep = self.client.host.loop.create_task(self._keep_up())
            self._tasks.add(self._upkeep)
            self._upkeep.add_done_callback(self._tasks.discard)

    async def _keep_up(self) -> None:
        while self._wants_upkeep and self.client.session.is_logged_in:
            self._wants_upkeep = False
            try:
                await self._see_to_all()
                self._retry_seconds = 0.0
            except Exception as error:
                failure = map_error(error)
                text = places(error) if is_defect(error) else failure.message
                self.client.log.record("warning", "encryption", text, failure.code)
                if not isinstance(error, MatrixError) or failure.code in _FINAL:
                    return
                self._retry_seconds = min(
                    self._retry_seconds * 2 or _RETRY_SECONDS, _LONGEST_RETRY_SECONDS
                )
                await asyncio.sleep(self._retry_seconds)
                self._wants_upkeep = True

    async def _see_to_all(self) -> None:
        if self.account.needs_upload:
            async with self._uploading:
                if self.account.needs_upload:
                    await self.account.upload()
        await self.devices.refresh_outdated()
        await self._unwedge()
        await self.key_requests.answer()
        self.resume_backup()

    async def _unwedge(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        for user_id, curve25519 in self._wedged.drain():
            await self.devices.refresh([user_id], room_id="")
            device = self.devices.by_key(user_id, curve25519)
            if device is None or 0 <= now_ms - self.olm.newest_ms(device) < _UNWEDGE_MS:
                continue
            if device not in await self.claims.ensure([device], renew=True):
                await self.to_device.send_sealed("m.dummy", [(device, {})])


# Trying again changes nothing.
_FINAL = frozenset({"M_UNKNOWN_TOKEN", "E_NOT_LOGGED_IN", "E_ENCRYPTION_UNSUPPORTED", "E_STORE"})
