"""Who gets a room's key, and that they get it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from vodozemac import GroupSession

from libmatrix.crypto.account import MEGOLM
from libmatrix.crypto.records import Device

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

_HIDDEN_FROM_INVITED = "joined"
_REASONS = {
    "m.blacklisted": "The sender has blocked this device.",
    "m.unverified": "The sender does not send keys to devices that are not verified.",
    "m.no_olm": "No secure channel to this device could be made.",
}


class Recipients(NamedTuple):
    """The devices in a room, sorted by whether they get its key."""

    stamp: tuple[Any, ...]
    allowed: dict[str, Device]
    # With the code that they are told.
    refused: list[tuple[Device, str]]


class Sharing:
    """Sends keys to who may have them and lacks them; others are told why they get none."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._shares = crypto.store.shares
        self._cache: dict[str, Recipients] = {}
        # By session: what everybody was given; loaded when the session is used.
        self._given: dict[str, dict[str, bytes]] = {}
        # Sessions for which nothing is left to do, with the recipients that was found for.
        self._done: dict[str, tuple[Any, ...]] = {}

    async def recipients(self, room_id: str) -> Recipients:
        """The devices of all who may read the room's next event."""
        members = await self._members(room_id)
        await self._crypto.devices.refresh_quietly(members[1])
        stamp = (*members[0], self._crypto.trust_stamp)
        known = self._cache.get(room_id)
        if known is not None and known.stamp == stamp:
            return known
        allowed: dict[str, Device] = {}
        refused: list[tuple[Device, str]] = []
        crypto = self._crypto
        for user_id in members[1]:
            for device in crypto.devices.of(user_id).values():
                if (user_id, device.device_id) == (crypto.user_id, crypto.device_id):
                    continue
                code = crypto.policy.withholds(device)
                if code is None:
                    allowed[_name(device)] = device
                else:
                    refused.append((device, code))
        found = self._cache[room_id] = Recipients(stamp, allowed, refused)
        return found

    async def _members(self, room_id: str) -> tuple[tuple[Any, ...], list[str]]:
        """Who reads what is written now, and a mark that changes with that."""
        from libmatrix.rooms.members import known_members

        client = self._crypto.client
        members = await known_members(client, room_id)
        room = client.state.rooms.get(room_id)
        hides = room is not None and room.history_visibility == _HIDDEN_FROM_INVITED
        wanted = ("join",) if hides else ("join", "invite")
        users = sorted(user for user, each in members.items() if each.membership in wanted)
        return (hash(tuple(users)), len(users)), users

    def is_too_wide(self, session_id: str, recipients: Recipients) -> bool:
        """Whether somebody has the session who must not read on."""
        if self._done.get(session_id) == recipients.stamp:
            return False
        given = self._of(session_id)
        return any(
            key not in recipients.allowed for key, value in given.items() if value[:1] != b"m"
        )

    def forget(self, session_id: str) -> None:
        """The session is not used any more."""
        self._given.pop(session_id, None)
        self._done.pop(session_id, None)
        self._shares.delete_all(session_id)

    async def share(self, room_id: str, session: GroupSession, recipients: Recipients) -> None:
        """Gives the key, from its present index on, to who lacks it."""
        session_id = session.session_id
        if self._done.get(session_id) == recipients.stamp:
            return
        given = self._of(session_id)
        missing = [
            device for key, device in recipients.allowed.items() if given.get(key, b"m")[:1] == b"m"
        ]
        lost = {_name(each) for each in await self._crypto.claims.ensure(missing)}
        reached = [device for device in missing if _name(device) not in lost]
        await self._give(room_id, session, reached)
        refused = list(recipients.refused)
        refused += [(device, "m.no_olm") for device in missing if _name(device) in lost]
        await self._refuse(room_id, session_id, refused)
        if not lost:
            self._done[session_id] = recipients.stamp

    async def _give(self, room_id: str, session: GroupSession, devices: list[Device]) -> None:
        if not devices:
            return
        value = str(session.message_index).encode()
        content = {
            "algorithm": MEGOLM,
            "room_id": room_id,
            "session_id": session.session_id,
            "session_key": session.session_key.to_base64(),
        }
        await self._crypto.to_device.send_sealed(
            "m.room_key", [(device, content) for device in devices]
        )
        given = self._of(session.session_id)
        for device in devices:
            given[_name(device)] = value
            self._shares.put(session.session_id, _name(device), value)
        self._crypto.store.flush()

    async def _refuse(
        self, room_id: str, session_id: str, refused: list[tuple[Device, str]]
    ) -> None:
        """Tells devices, once each, why they get no key."""
        given = self._of(session_id)
        fresh = [(d, code) for d, code in refused if given.get(_name(d)) != code.encode()]
        messages: dict[str, dict[str, Any]] = {}
        for device, code in fresh:
            messages.setdefault(device.user_id, {})[device.device_id] = withheld(
                code, self._crypto.account.curve25519, room_id, session_id
            )
            given[_name(device)] = code.encode()
            self._shares.put(session_id, _name(device), code.encode())
        if messages:
            await self._crypto.to_device.send("m.room_key.withheld", messages, encrypted=False)
            self._crypto.store.flush()

    def _of(self, session_id: str) -> dict[str, bytes]:
        found = self._given.get(session_id)
        if found is None:
            found = self._given[session_id] = self._shares.of(session_id)
        return found


def _name(device: Device) -> str:
    """A device with its key: what comes after it under the same name is another."""
    return f"{device.user_id}|{device.device_id}|{device.curve25519}"


def withheld(code: str, sender_key: str, room_id: str, session_id: str) -> dict[str, Any]:
    """The content of an m.room_key.withheld event; m.no_olm is about all sessions."""
    content = {
        "algorithm": MEGOLM,
        "code": code,
        "reason": _REASONS.get(code, ""),
        "sender_key": sender_key,
    }
    if code != "m.no_olm":
        content.update(room_id=room_id, session_id=session_id)
    return content
