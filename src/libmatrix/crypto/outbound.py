"""Outbound Megolm: a room's events encrypted, the session made anew when it has to be."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec
from vodozemac import GroupSession, PickleException

from libmatrix.crypto.account import MEGOLM
from libmatrix.crypto.records import OutboundSession, decode_outbound, encode
from libmatrix.crypto.sharing import Recipients, Sharing
from libmatrix.errors import BROKEN_JSON, EncryptionError, ResponseError
from libmatrix.rooms.room import ENCRYPTION

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

REACTION = "m.reaction"
_PERIOD_MS = 7 * 86_400_000
_SHORTEST_PERIOD_MS = 3_600_000
_PERIOD_MESSAGES = 100
_MOST_MESSAGES = 10_000


class _Settings(msgspec.Struct):
    """The content of m.room.encryption."""

    algorithm: Any = None
    rotation_period_ms: Any = None
    rotation_period_msgs: Any = None


class Outbound:
    """The sessions of all rooms that something is sent to."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._store = crypto.store
        self.sharing = Sharing(crypto)
        self._turns: dict[str, asyncio.Lock] = {}
        self._open: dict[str, tuple[GroupSession, OutboundSession]] = {}

    async def encrypt(
        self, room_id: str, event_type: str, content: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """Type and content of the encrypted event; everybody who may read it has the key by then.

        Raises `EncryptionError` when the room's encryption is not one we can do, and what the
        homeserver refuses. A reaction stays as it is: all it says is its relation, which is
        always in clear (and other clients look for it there).
        """
        if event_type == REACTION:
            return event_type, content
        settings = await self.settings(room_id)
        async with self._turns.setdefault(room_id, asyncio.Lock()):
            recipients = await self.sharing.recipients(room_id)
            session, kept = self._current(room_id, settings, recipients)
            await self.sharing.share(room_id, session, recipients)
            return self._encrypt(room_id, session, kept, event_type, content)

    async def prepare(self, room_id: str) -> Recipients:
        """Shares the room's key ahead of its first message; says with whom."""
        settings = await self.settings(room_id)
        async with self._turns.setdefault(room_id, asyncio.Lock()):
            recipients = await self.sharing.recipients(room_id)
            session, _ = self._current(room_id, settings, recipients)
            await self.sharing.share(room_id, session, recipients)
            return recipients

    def discard(self, room_id: str) -> bool:
        """Forgets the room's session: the next message begins another. Whether there was one."""
        there = self._load(room_id) is not None
        self._open.pop(room_id, None)
        self._store.outbound.delete(room_id)
        self._store.flush()
        return there

    # -- inside -------------------------------------------------------------------------------

    async def settings(self, room_id: str) -> tuple[int, int]:
        """Rotation by time, ms, and by messages, as the room says. Raises `EncryptionError`."""
        content = await self._crypto.room_encryption(room_id)
        try:
            said = msgspec.convert(content or {}, _Settings)
        except msgspec.ValidationError:
            said = _Settings()
        if said.algorithm != MEGOLM:
            raise EncryptionError("the room's encryption is not one that this client can do")
        period = _number(said.rotation_period_ms, _PERIOD_MS)
        count = _number(said.rotation_period_msgs, _PERIOD_MESSAGES)
        return max(period, _SHORTEST_PERIOD_MS), min(max(count, 1), _MOST_MESSAGES)

    def _current(
        self, room_id: str, settings: tuple[int, int], recipients: Recipients
    ) -> tuple[GroupSession, OutboundSession]:
        """The session to use; a new one when the old is spent or known to who must not have it."""
        found = self._load(room_id)
        if found is not None:
            session, kept = found
            age_ms = _now_ms() - kept.created_ms
            is_spent = kept.message_count >= settings[1] or not 0 <= age_ms < settings[0]
            if not is_spent and not self.sharing.is_too_wide(session.session_id, recipients):
                return found
            self.sharing.forget(session.session_id)
        session = GroupSession()
        kept = OutboundSession(session_id=session.session_id, pickle="", created_ms=_now_ms())
        self._crypto.room_keys.take_own(room_id, session.session_key.to_base64())
        self._keep(room_id, session, kept)
        return session, kept

    def _load(self, room_id: str) -> tuple[GroupSession, OutboundSession] | None:
        found = self._open.get(room_id)
        if found is None:
            data = self._store.outbound.get(room_id)
            if data is None:
                return None
            kept = decode_outbound(data)
            try:
                session = GroupSession.from_pickle(kept.pickle, self._store.key)
            except PickleException:
                return None
            found = self._open[room_id] = (session, kept)
        return found

    def _keep(self, room_id: str, session: GroupSession, kept: OutboundSession) -> None:
        kept.pickle = session.pickle(self._store.key)
        self._open[room_id] = (session, kept)
        self._store.outbound.put(room_id, "", encode(kept))

    def _encrypt(
        self,
        room_id: str,
        session: GroupSession,
        kept: OutboundSession,
        event_type: str,
        content: dict[str, Any],
    ) -> tuple[str, dict[str, Any]]:
        relation = content.get("m.relates_to")
        inner = {name: value for name, value in content.items() if name != "m.relates_to"}
        text = encode({"type": event_type, "content": inner, "room_id": room_id})
        message = session.encrypt(text)
        kept.message_count += 1
        found = self._open.get(room_id)
        if found is not None and found[0] is session:
            # Else it was discarded while others were given it.
            self._keep(room_id, session, kept)
        # An index that was used must never be used again, whatever happens next.
        self._store.flush()
        sealed: dict[str, Any] = {
            "algorithm": MEGOLM,
            "sender_key": self._crypto.account.curve25519,
            "ciphertext": message.to_base64(),
            "session_id": session.session_id,
            "device_id": self._crypto.device_id,
        }
        if relation is not None:
            sealed["m.relates_to"] = relation
        return "m.room.encrypted", sealed


async def fetch_settings(crypto: Crypto, room_id: str) -> dict[str, Any] | None:
    """The content of the room's m.room.encryption as the homeserver has it; None without one.

    Raises `ResponseError`.
    """
    from libmatrix.api import make_path
    from libmatrix.errors import HomeserverError

    path = make_path("rooms", room_id, "state", ENCRYPTION, "")
    try:
        body = await crypto.client.api.call("GET", path)
    except HomeserverError as error:
        if error.http_status == 404 and error.code == "M_NOT_FOUND":
            return None
        raise
    try:
        content = msgspec.json.decode(body, type=dict[str, Any])
    except BROKEN_JSON:
        raise ResponseError("the homeserver's answer is no content") from None
    return content


def _number(value: Any, default: int) -> int:
    return value if type(value) is int and value > 0 else default


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
