"""Room keys among the user's own devices: asked for, given, and taken when they were asked for."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from libmatrix.crypto.account import MEGOLM
from libmatrix.crypto.quota import Quota
from libmatrix.crypto.records import Device
from libmatrix.crypto.sharing import withheld

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto
    from libmatrix.crypto.store import Key
    from libmatrix.crypto.to_device import Incoming

_REQUEST = "m.room_key_request"
_FORWARD = "m.forwarded_room_key"
# Requests of other devices that wait to be answered.
_MOST_WAITING = 1_000
# Requests of this device, of one room and of all: whoever is in a room can name keys that are none.
_MOST_OF_A_ROOM = 500
_MOST = 2_000
_MOST_LETTERS = 255


class KeyRequests:
    """Both sides of m.room_key_request: only the user's own verified devices get anything."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._asked = crypto.store.key_requests
        # To be asked for; and by request id of others: who asks for which session.
        self._missing: set[tuple[str, str]] = set()
        self._waiting: dict[tuple[str, str], tuple[str, str]] = {}
        self._done: list[str] = []
        self._has_looked = False
        self._quota: Quota[Key] = Quota(_MOST_OF_A_ROOM, _MOST, self._load)
        crypto.on_missing_key.append(self._miss)
        crypto.room_keys.on_new.append(self._came)
        crypto.to_device.on(_REQUEST, self._take_request)
        crypto.to_device.on_incoming(_FORWARD, self._take_forward)

    # -- asking -------------------------------------------------------------------------------

    def _miss(self, room_id: str, session_id: str) -> None:
        is_short = max(len(room_id), len(session_id)) <= _MOST_LETTERS
        if len(self._missing) < _MOST_WAITING and is_short:
            self._missing.add((room_id, session_id))

    def _came(self, room_id: str, session_id: str) -> None:
        self._missing.discard((room_id, session_id))
        self._withdraw((room_id, session_id))

    def _withdraw(self, place: Key) -> None:
        """Waits for it no more, and has those who were asked told."""
        kept = self._asked.get(*place)
        if kept is not None:
            self._asked.delete(*place)
            self._quota.remove(place)
            self._done.append(kept.decode().partition(" ")[0])

    def _load(self) -> Iterator[tuple[str, Key, int]]:
        rows = [
            (kept.decode().rpartition(" ")[2], place) for place, kept in self._asked.all().items()
        ]
        for _, place in sorted(rows):
            yield place[0], place, 1

    async def answer(self) -> None:
        """Asks for what is missing, takes back what came, gives what was asked for."""
        waiting, self._waiting = self._waiting, {}
        for (device_id, _), (room_id, session_id) in waiting.items():
            await self._give(device_id, room_id, session_id)
        await self._ask()
        done, self._done = self._done, []
        for request_id in done:
            await self._send({"action": "request_cancellation", "request_id": request_id})

    async def _ask(self) -> None:
        """Of the own verified devices; until there is one, what is missing is remembered."""
        if not self._has_looked:
            self._has_looked = True
            self._look()
        if not self._missing or not self._own_verified():
            return
        missing, self._missing = self._missing, set()
        for room_id, session_id in sorted(missing):
            if self._asked.get(room_id, session_id) is not None:
                continue
            request_id = os.urandom(16).hex()
            body = {"algorithm": MEGOLM, "room_id": room_id, "session_id": session_id}
            # Kept first: a forward counts only if it was asked for. A crash asks again.
            since = f"{time.time_ns() // 1_000_000:016}"
            self._asked.put(room_id, session_id, f"{request_id} {since}".encode())
            for gone in self._quota.add(room_id, (room_id, session_id)):
                self._withdraw(gone)
            await self._send({"action": "request", "request_id": request_id, "body": body})
        self._crypto.store.flush()

    def _look(self) -> None:
        """What events waited for when the client ended."""
        for place, _ in self._crypto.store.undecrypted.places():
            room_id, _, session_id = place.rpartition("|")
            if not self._crypto.room_keys.has(room_id, session_id):
                self._miss(room_id, session_id)

    async def _send(self, content: dict[str, Any]) -> None:
        crypto = self._crypto
        content = {**content, "requesting_device_id": crypto.device_id}
        messages = {device.device_id: content for device in self._own_verified()}
        if messages:
            await crypto.send_to_device(_REQUEST, {crypto.user_id: messages}, encrypted=False)

    def _own_verified(self) -> list[Device]:
        crypto = self._crypto
        return [
            device
            for device in crypto.devices.of(crypto.user_id).values()
            if device.device_id != crypto.device_id and crypto.is_device_verified(device)
        ]

    # -- giving -------------------------------------------------------------------------------

    def _take_request(self, sender: str, _: Device | None, content: dict[str, Any]) -> None:
        device_id, request_id = content.get("requesting_device_id"), content.get("request_id")
        if sender != self._crypto.user_id or device_id == self._crypto.device_id:
            return
        if not isinstance(device_id, str) or not isinstance(request_id, str):
            return
        if max(len(device_id), len(request_id)) > _MOST_LETTERS:
            return
        name = (device_id, request_id)
        if content.get("action") == "request_cancellation":
            self._waiting.pop(name, None)
            return
        body = content.get("body")
        if not isinstance(body, dict) or len(self._waiting) >= _MOST_WAITING:
            return
        room_id, session_id = body.get("room_id"), body.get("session_id")
        if isinstance(room_id, str) and isinstance(session_id, str):
            self._waiting[name] = (room_id, session_id)

    async def _give(self, device_id: str, room_id: str, session_id: str) -> None:
        """Gives the session to a verified device; tells others why not."""
        crypto = self._crypto
        device = crypto.devices.get(crypto.user_id, device_id)
        if device is None or device.is_blocked:
            return
        code = None
        if not crypto.is_device_verified(device):
            code = "m.unverified"
        elif not crypto.room_keys.has(room_id, session_id):
            code = "m.unavailable"
        if code is not None:
            content = withheld(code, crypto.account.curve25519, room_id, session_id)
            messages = {crypto.user_id: {device_id: content}}
            await crypto.send_to_device("m.room_key.withheld", messages, encrypted=False)
            return
        exported = crypto.room_keys.export(room_id, session_id)
        claimed = exported.pop("sender_claimed_keys")
        exported["sender_claimed_ed25519_key"] = claimed.get("ed25519", "")
        await crypto.send_to_device(
            _FORWARD, {crypto.user_id: {device_id: exported}}, encrypted=True
        )

    # -- taking -------------------------------------------------------------------------------

    def _take_forward(self, incoming: Incoming) -> None:
        """A forward counts if it was asked for and comes from a verified device of the user."""
        content, device = incoming.content, incoming.device
        room_id, session_id = content.get("room_id"), content.get("session_id")
        if not isinstance(room_id, str) or not isinstance(session_id, str):
            return
        is_own = incoming.sender == self._crypto.user_id and device is not None
        was_asked = self._asked.get(room_id, session_id) is not None
        # A device that only brought its keys along is not known, and so not verified.
        is_verified = (
            device is not None
            and self._crypto.devices.get(incoming.sender, device.device_id) == device
            and self._crypto.is_device_verified(device)
        )
        if not (is_own and was_asked and is_verified):
            self._log("a room key that nobody asked for, or of a device that is not verified")
            return
        ed25519 = content.get("sender_claimed_ed25519_key")
        chain = content.get("forwarding_curve25519_key_chain")
        known = [key for key in chain if isinstance(key, str)] if isinstance(chain, list) else []
        exported = {
            **content,
            "sender_claimed_keys": {"ed25519": ed25519},
            "forwarding_curve25519_key_chain": [*known, incoming.curve25519],
        }
        try:
            self._crypto.room_keys.take_exported(exported, "forwarded")
        except ValueError:
            self._log("a forwarded room key that is malformed")

    def _log(self, text: str) -> None:
        self._crypto.client.log.record("warning", "encryption", f"left out: {text}")
