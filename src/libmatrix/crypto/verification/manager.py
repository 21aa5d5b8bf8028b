"""All verifications of one client: what comes for them, what they send, and when they end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.crypto.trust import announce
from libmatrix.crypto.verification import contents
from libmatrix.crypto.verification.admission import MOST, Admission
from libmatrix.crypto.verification.conclusions import StoredKeys, believe
from libmatrix.crypto.verification.contents import Party, read
from libmatrix.crypto.verification.early import Answer, Early
from libmatrix.crypto.verification.flow import AHEAD_MS, LIFE_MS, PROMPT_MS, Verification
from libmatrix.crypto.verification.record import describe
from libmatrix.crypto.verification.sender import RETRY_SECONDS, Sender
from libmatrix.errors import ArgumentError, MatrixError
from libmatrix.events.head import EventHead, MalformedEventError, read_timeline_event

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto
    from libmatrix.crypto.records import Device

_MOST_LETTERS = 255
# What one needs is far less, also where a user has many devices.
_MOST_MESSAGES = 200

_MARK = b"m.key.verification."

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Verifications:
    """`client.crypto.verifications`."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._keys = StoredKeys(crypto)
        self._flows: dict[str, Verification] = {}
        self._announced: dict[str, object] = {}
        # What has come for each, as hashes.
        self._seen: dict[str, set[bytes]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._sender = Sender(crypto, self._changed)
        self._early = Early()
        self._admission = Admission(
            crypto.client.host.loop.time, crypto.devices.is_stranger, self._log
        )

    @property
    def _own(self) -> Party:
        return Party(self._crypto.user_id, self._crypto.device_id)

    # -- the host -----------------------------------------------------------------------------

    def all(self) -> list[Verification]:
        """Those that go on, and those that ended a short while ago."""
        return list(self._flows.values())

    def find(self, verification_id: str) -> Verification:
        """One of them; raises `ArgumentError`."""
        flow = self._flows.get(verification_id)
        if flow is None:
            raise ArgumentError("verification_id: there is no such verification")
        return flow

    async def request(
        self, user_id: str, device_id: str | None, room_id: str | None, methods: list[str]
    ) -> Verification:
        """Asks another device, all devices of a user, or a user in a room.

        Raises `ArgumentError`.
        """
        crypto = self._crypto
        await crypto.ready()
        await crypto.devices.refresh([user_id], force=True)
        known = set(crypto.devices.of(user_id))
        if user_id == self._own.user_id:
            known.discard(self._own.device_id)
        if not known or (device_id is not None and device_id not in known):
            what = "device" if device_id is None else f"device {device_id}"
            raise ArgumentError(f"{user_id} has no {what} to verify")
        if room_id is not None:
            return await self._request_in_room(user_id, room_id, methods)
        flow = Verification(
            self._own,
            user_id,
            os.urandom(16).hex(),
            self._keys,
            is_outgoing=True,
            expires_ms=_now_ms() + LIFE_MS,
            devices=(device_id,) if device_id is not None else tuple(sorted(known)),
        )
        flow.request(methods, _now_ms())
        self._add(flow)
        await self.carry_on(flow)
        return flow

    async def _request_in_room(
        self, user_id: str, room_id: str, methods: list[str]
    ) -> Verification:
        if user_id == self._own.user_id:
            raise ArgumentError("room_id: own devices are verified without a room")
        content = contents.room_request(self._own, user_id, methods)
        with self._early.asking(room_id, user_id):
            event_id = await self._sender.say(room_id, "m.room.message", content)
        flow = Verification(
            self._own,
            user_id,
            event_id,
            self._keys,
            is_outgoing=True,
            expires_ms=_now_ms() + LIFE_MS,
            room_id=room_id,
        )
        flow.methods = methods
        self._add(flow)
        for answer in self._early.drain():
            self._take_in_room(*answer)
        await self.carry_on(flow)
        return flow

    async def carry_on(self, flow: Verification) -> None:
        """Says what has changed, and sends what is to be sent; raises when that was refused."""
        self._changed(flow)
        await self._sender.settled(flow)

    # -- to-device messages -------------------------------------------------------------------

    def take_to_device(
        self, kind: str, sender: str, device: Device | None, content: dict[str, Any]
    ) -> None:
        """A to-device message; as all clients do, this one takes them in clear."""
        verification_id = content.get("transaction_id")
        if not isinstance(verification_id, str) or not 0 < len(verification_id) <= _MOST_LETTERS:
            return
        flow = self._flows.get(verification_id)
        if flow is not None:
            if flow.room_id is None and flow.user_id == sender:
                self._give(flow, kind, content)
        elif kind == contents.REQUEST:
            self._asked(sender, verification_id, content, None)
        elif kind == contents.START:
            self._started_alone(sender, verification_id, content)
        elif kind == contents.READY:
            self._tell_unknown(sender, verification_id, content)

    def _started_alone(self, sender: str, verification_id: str, content: dict[str, Any]) -> None:
        flow = self._incoming(sender, verification_id, None, _now_ms())
        if (
            flow.started_alone(content)
            and flow.party != self._own
            and self._admission.allows(sender)
        ):
            self._admit(flow)

    def _tell_unknown(self, sender: str, verification_id: str, content: dict[str, Any]) -> None:
        ready = read(content, contents.Ready)
        if ready is None or Party(sender, ready.from_device) == self._own:
            return
        if not self._admission.allows(sender):
            return
        said = {
            "transaction_id": verification_id,
            "code": "m.unknown_transaction",
            "reason": "there is no such verification",
        }
        messages = {sender: {ready.from_device: said}}
        self._crypto.spawn(self._sender.tell(contents.CANCEL, messages))

    # -- rooms --------------------------------------------------------------------------------

    def take_clear(self, room_id: str, events: Iterable[Raw]) -> None:
        """The same for all events of a timeline that are not encrypted; few have to do with it."""
        for data in map(bytes, events):
            if _MARK in data:
                with contextlib.suppress(MalformedEventError):
                    self.take_room_event(room_id, read_timeline_event(data))

    def take_room_event(self, room_id: str, head: EventHead) -> None:
        """An event of a room's timeline, in clear by now, that may belong to a verification."""
        kind, sender = head.type, head.sender
        if kind == "m.room.message":
            data = bytes(head.content)
            if contents.REQUEST.encode() not in data:
                return
            content = _decode(data)
            is_request = content.get("msgtype") == contents.REQUEST
            if is_request and content.get("to") == self._own.user_id != sender:
                self._asked(sender, head.event_id, content, room_id, head.origin_server_ts)
        elif kind in contents.TYPES:
            self._take_in_room(room_id, sender, kind, _decode(bytes(head.content)))

    def _take_in_room(self, room_id: str, sender: str, kind: str, content: dict[str, Any]) -> None:
        relation = content.get("m.relates_to")
        related = relation.get("event_id") if isinstance(relation, dict) else None
        flow = self._flows.get(related) if isinstance(related, str) else None
        if flow is None:
            self._early.keep(Answer(room_id, sender, kind, content))
            return
        if flow.room_id != room_id:
            return
        if sender == flow.user_id:
            self._give(flow, kind, content)
        elif sender == self._own.user_id and kind in (contents.READY, contents.CANCEL):
            # This device's own events come back too, but by then it has left that state.
            flow.taken_elsewhere("m.accepted" if kind == contents.READY else "m.user")
            self._changed(flow)

    # -- both ---------------------------------------------------------------------------------

    def _asked(
        self,
        sender: str,
        verification_id: str,
        content: dict[str, Any],
        room_id: str | None,
        sent_ms: int | None = None,
    ) -> None:
        request = read(content, contents.Request)
        if request is None:
            return
        asked_ms = sent_ms if sent_ms is not None else request.timestamp
        now_ms = _now_ms()
        if asked_ms is None or not now_ms - LIFE_MS < asked_ms < now_ms + AHEAD_MS:
            self._log(f"a request of {sender} is too old or from the future, and was ignored")
            return
        if verification_id in self._flows or Party(sender, request.from_device) == self._own:
            return
        if not self._admission.allows(sender):
            return
        flow = self._incoming(sender, verification_id, room_id, min(asked_ms, now_ms))
        flow.asked(request)
        self._admit(flow)

    def _incoming(
        self, sender: str, verification_id: str, room_id: str | None, asked_ms: int
    ) -> Verification:
        return Verification(
            self._own,
            sender,
            verification_id,
            self._keys,
            is_outgoing=False,
            expires_ms=asked_ms + LIFE_MS,
            room_id=room_id,
        )

    def _admit(self, flow: Verification) -> None:
        """Takes a verification that another device wants, if that is all right."""
        older = [
            known
            for known in self._flows.values()
            if not known.is_over
            and not known.is_outgoing
            and known.device_id == flow.device_id
            and known.user_id == flow.user_id
        ]
        self._make_room()
        if older:
            self._log(f"{flow.user_id} asks while it has asked already: both are cancelled")
            for each in (*older, flow):
                each.cancel("m.unexpected_message")
            if len(self._flows) < MOST:
                self._add(flow)
            for each in (flow, *older):
                self._changed(each)
            return
        if not self._admission.has_room(flow, self._flows.values()):
            self._log(f"a request of {flow.user_id} was ignored: there are too many")
            return
        self._add(flow, is_announced=False)
        self._crypto.spawn(self._introduce(flow))

    async def _introduce(self, flow: Verification) -> None:
        """Tells the host of a request, once the keys of who asks are known."""
        devices = self._crypto.devices
        while not flow.is_over and flow.party.device_id not in devices.of(flow.user_id):
            try:
                await devices.refresh([flow.user_id], force=True, room_id=flow.room_id or "")
            except MatrixError as error:
                self._log(f"the keys of {flow.user_id} are not to be had: {error.message}")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                break
        if flow.party.device_id not in devices.of(flow.user_id):
            self._log(f"a request of {flow.user_id} is from a device without keys: ignored")
            self._drop(flow.id)
            return
        self._changed(flow)

    def _give(self, flow: Verification, kind: str, content: dict[str, Any]) -> None:
        # A sync that is repeated brings the same again, which is no message out of order.
        mark = hashlib.sha256(_encode([kind, content])).digest()
        seen = self._seen.setdefault(flow.id, set())
        if mark in seen or flow.is_over:
            return
        seen.add(mark)
        if len(seen) > _MOST_MESSAGES:
            flow.cancel("m.unexpected_message")
            self._changed(flow)
            return
        was_asking = flow.state == "requested" and flow.is_outgoing
        flow.receive(kind, content)
        if was_asking and flow.device_id is not None:
            # The keys of a device that nobody knew before are needed by the end.
            self._crypto.spawn(self._crypto.devices.refresh([flow.user_id], room_id=""))
        self._changed(flow)

    def _add(self, flow: Verification, *, is_announced: bool = True) -> None:
        self._flows[flow.id] = flow
        self._watch(flow)
        if is_announced:
            self._changed(flow)

    def _make_room(self) -> None:
        for flow in [flow for flow in self._flows.values() if flow.is_over]:
            if len(self._flows) >= MOST:
                self._drop(flow.id)

    def _drop(self, verification_id: str) -> None:
        self._flows.pop(verification_id, None)
        self._announced.pop(verification_id, None)
        self._seen.pop(verification_id, None)
        timer = self._timers.pop(verification_id, None)
        if timer is not None:
            timer.cancel()

    # -- what follows -------------------------------------------------------------------------

    def _changed(self, flow: Verification) -> None:
        """After anything that happened to a verification."""
        self._sender.send(flow)
        shown = (flow.state, flow.device_id, flow.method)
        if self._announced.get(flow.id) == shown or flow.id not in self._flows:
            return
        was = self._announced.get(flow.id)
        self._announced[flow.id] = shown
        if flow.state == "done" and flow.verified is not None:
            self._crypto.spawn(self._conclude(flow))
            return
        if flow.state == "cancelled" and was is None:
            # Nobody has heard of it.
            return
        if was is not None or flow.state != "requested":
            self._watch(flow)
        announce(self._crypto, "verification", describe(flow))

    async def _conclude(self, flow: Verification) -> None:
        """The host hears of the end when what was proven counts."""
        assert flow.verified is not None
        try:
            await believe(self._crypto, flow.verified)
        finally:
            self._watch(flow)
            announce(self._crypto, "verification", describe(flow))

    def _watch(self, flow: Verification) -> None:
        """Sets the clock: until its time is over, and a while longer once it is."""
        timer = self._timers.pop(flow.id, None)
        if timer is not None:
            timer.cancel()
        left_ms = LIFE_MS if flow.is_over else max(flow.expires_ms - _now_ms(), 0)
        if flow.state == "requested" and not flow.is_outgoing:
            left_ms = min(left_ms, PROMPT_MS)
        loop = self._crypto.client.host.loop
        self._timers[flow.id] = loop.call_later(left_ms / 1000, self._time_is_over, flow)

    def _time_is_over(self, flow: Verification) -> None:
        self._timers.pop(flow.id, None)
        if flow.is_over:
            self._drop(flow.id)
            return
        flow.expire()
        self._changed(flow)

    def close(self) -> list[asyncio.Task[None]]:
        """Ends the clocks and what is being sent."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        return self._sender.close()

    def _log(self, text: str) -> None:
        self._crypto.client.log.record("info", "encryption", text)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
