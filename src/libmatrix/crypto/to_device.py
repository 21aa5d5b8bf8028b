"""To-device events: in, decrypted and given to who handles their type; out, encrypted or not."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Raw

from libmatrix.api import make_path
from libmatrix.crypto.account import OLM
from libmatrix.crypto.key_query import read_device
from libmatrix.crypto.olm import OlmError, Plaintext
from libmatrix.crypto.records import Device, encode
from libmatrix.errors import BROKEN_JSON, places
from libmatrix.events.head import EventHead, MalformedEventError, read_event

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

ENCRYPTED = "m.room.encrypted"
# Events that are handled before others have their turn.
_TURN = 100
# Devices in one request.
_MOST_DEVICES = 250
# What is between devices alone: the host never sees it.
_SECRET = frozenset(
    {"m.room_key", "m.forwarded_room_key", "m.secret.send", "m.dummy", "m.room_key.withheld"}
)
# What is believed only when it came encrypted.
_NEVER_CLEAR = frozenset({"m.room_key", "m.forwarded_room_key", "m.secret.send"})


class Shown(NamedTuple):
    """To-device events that the host may see."""

    events: list[Raw]
    # Of those that came encrypted, by index: the device that has proved to be the sender.
    devices: dict[int, str | None]


# User id, the device that has proved to be the sender (None: it came in clear), content.
Handler = Callable[[str, Device | None, dict[str, Any]], None]


class Incoming(NamedTuple):
    """A to-device event; the last three fields are set when it came encrypted."""

    sender: str
    content: dict[str, Any]
    # The sender's device, if it is known or has brought its keys along.
    device: Device | None = None
    curve25519: str = ""
    ed25519: str = ""


class _Olm(msgspec.Struct):
    algorithm: str
    sender_key: str
    ciphertext: dict[str, Any]


_decode_olm = msgspec.json.Decoder(_Olm).decode
_decode_plaintext = msgspec.json.Decoder(Plaintext).decode
_decode_content = msgspec.json.Decoder(dict[str, Any]).decode


class ToDevice:
    """Both directions."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._handlers: dict[str, list[Handler]] = {}
        self._inner: dict[str, Callable[[Incoming], None]] = {}
        # Hashes of the messages that the sync being handled brought.
        self._received: list[str] = []

    def on(self, event_type: str, handler: Handler) -> None:
        """Has a handler called for each sound event of a type. It must not wait."""
        self._handlers.setdefault(event_type, []).append(handler)

    def on_incoming(self, event_type: str, handler: Callable[[Incoming], None]) -> None:
        """The same for handlers of this package: also for senders whose device is not known."""
        self._inner[event_type] = handler

    # -- in -----------------------------------------------------------------------------------

    async def receive(self, events: list[Raw]) -> Shown:
        """Handles a sync's events; returns what the host may see of them, in clear."""
        shown: list[Raw] = []
        devices: dict[int, str | None] = {}
        for number, raw in enumerate(events, 1):
            if not number % _TURN:
                await asyncio.sleep(0)
            try:
                head = read_event(bytes(raw))
                found = self._open(head) if head.type == ENCRYPTED else self._read(head)
            except MalformedEventError:
                # Said by who gives them to the host.
                shown.append(raw)
                continue
            except OlmError as error:
                self._log(f"an encrypted message of {head.sender} was left out: {error}")
                continue
            event_type, incoming = found
            self._dispatch(event_type, incoming)
            if event_type in _SECRET:
                continue
            if head.type != event_type:
                device = incoming.device
                devices[len(shown)] = device.device_id if device is not None else None
                raw = _clear(event_type, incoming)
            shown.append(raw)
        return Shown(shown, devices)

    def committed(self) -> None:
        """The sync is about to be lasting: the homeserver forgets its messages."""
        for name in self._received:
            self._crypto.store.received.delete(name)
        self._received = []

    def _read(self, head: EventHead) -> tuple[str, Incoming]:
        return head.type, Incoming(head.sender, _decode_content(head.content))

    def _open(self, head: EventHead) -> tuple[str, Incoming]:
        try:
            content = _decode_olm(head.content)
        except BROKEN_JSON:
            raise OlmError("its content is not what it should be") from None
        own = content.ciphertext.get(self._crypto.account.curve25519)
        if content.algorithm != OLM or not isinstance(own, dict):
            raise OlmError("it is not for this device, or of another algorithm")
        text = self._decrypt(head.sender, content.sender_key, own)
        try:
            # Within the same limits as every event.
            read_event(text)
            said = _decode_plaintext(text)
        except (MalformedEventError, msgspec.MsgspecError, UnicodeDecodeError):
            raise OlmError("what it says is malformed") from None
        return said.type, self._check(head.sender, content.sender_key, said)

    def _decrypt(self, sender: str, sender_key: str, message: dict[str, Any]) -> bytes:
        """Once only: a sync that is repeated after a crash finds what was already decrypted."""
        body = message.get("body")
        digest = hashlib.sha256(f"{sender_key}|{message.get('type')}|{body}".encode()).hexdigest()
        known = self._crypto.store.received.get(digest)
        if known is None:
            try:
                kind = message.get("type")
                known = self._crypto.olm.decrypt(sender, sender_key, kind, body)
            except OlmError as error:
                if error.is_wedged:
                    self._crypto.wedged(sender, sender_key)
                raise
            self._crypto.store.received.put(digest, "", known)
        self._received.append(digest)
        self._crypto.claims.forgive(sender_key)
        return known

    def _check(self, sender: str, sender_key: str, said: Plaintext) -> Incoming:
        """Raises `OlmError` unless it is from who sent it and to this device."""
        crypto = self._crypto
        if said.sender != sender:
            raise OlmError("its sender is somebody else")
        if said.recipient != crypto.user_id:
            raise OlmError("it is for another user")
        if said.recipient_keys.get("ed25519") != crypto.account.ed25519:
            raise OlmError("it is for another device")
        ed25519 = said.keys.get("ed25519")
        if not isinstance(ed25519, str):
            raise OlmError("it does not say which device sent it")
        known = crypto.devices.by_key(sender, sender_key, ed25519)
        device = known or _attached(sender, sender_key, said)
        if device is not None and device.ed25519 != ed25519:
            raise OlmError("its device has another Ed25519 key")
        return Incoming(sender, said.content, device, sender_key, ed25519)

    def _dispatch(self, event_type: str, incoming: Incoming) -> None:
        is_clear = not incoming.curve25519
        if is_clear and event_type in _NEVER_CLEAR:
            self._log(f"{event_type} of {incoming.sender} came in clear and was left out")
            return
        try:
            inner = self._inner.get(event_type)
            if inner is not None:
                inner(incoming)
            if is_clear or incoming.device is not None:
                for handler in self._handlers.get(event_type, ()):
                    handler(incoming.sender, incoming.device, incoming.content)
        except Exception as error:
            # One message, however strange, costs no other.
            self._crypto.client.log.record("error", "encryption", places(error), "E_INTERNAL")

    def _log(self, text: str) -> None:
        self._crypto.client.log.record("warning", "encryption", text)

    # -- out ----------------------------------------------------------------------------------

    async def send(
        self, event_type: str, messages: dict[str, dict[str, Any]], *, encrypted: bool
    ) -> list[Device]:
        """Sends contents by user and device id; gives the devices that could not be reached.

        A device id `*` means all devices, of what is not encrypted. Encrypted ones go only to
        devices that are known; sessions are made where there are none.
        """
        if not encrypted:
            await self._put(event_type, messages)
            return []
        devices: dict[tuple[str, str], Device] = {}
        for user_id, contents in messages.items():
            known = self._crypto.devices.of(user_id)
            wanted = (known[device_id] for device_id in contents if device_id in known)
            devices.update({(user_id, device.device_id): device for device in wanted})
        lost = await self._crypto.claims.ensure(devices.values())
        await self.send_sealed(
            event_type,
            [
                (device, messages[user_id][device_id])
                for (user_id, device_id), device in devices.items()
                if device not in lost
            ],
        )
        return lost

    async def send_sealed(
        self, event_type: str, contents: list[tuple[Device, dict[str, Any]]]
    ) -> None:
        """Encrypts and sends to devices that there are sessions with."""
        for start in range(0, len(contents), _MOST_DEVICES):
            sealed: dict[str, dict[str, Any]] = {}
            for device, content in contents[start : start + _MOST_DEVICES]:
                message = self._crypto.olm.encrypt(device, event_type, content)
                sealed.setdefault(device.user_id, {})[device.device_id] = message
            # The session's next step must be on disk before anybody can have seen this one.
            self._crypto.store.flush()
            await self._put(ENCRYPTED, sealed)

    async def _put(self, event_type: str, messages: dict[str, dict[str, Any]]) -> None:
        path = make_path("sendToDevice", event_type, os.urandom(16).hex())
        await self._crypto.client.api.call("PUT", path, body={"messages": messages})


def _attached(sender: str, sender_key: str, said: Plaintext) -> Device | None:
    """The sending device by the keys it brought along, which it has signed."""
    keys = said.sender_device_keys
    device_id = keys.get("device_id") if isinstance(keys, dict) else None
    device = read_device(sender, device_id, keys) if isinstance(device_id, str) else None
    return device if device is not None and device.curve25519 == sender_key else None


def _clear(event_type: str, incoming: Incoming) -> Raw:
    """What the host sees of an event that came encrypted."""
    fields = {"type": event_type, "sender": incoming.sender, "content": incoming.content}
    return Raw(encode(fields))
