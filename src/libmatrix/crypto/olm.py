"""Olm: sessions with single devices, and the messages that go through them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from vodozemac import (
    AnyOlmMessage,
    Curve25519PublicKey,
    OlmEncryptionException,
    PickleException,
    PreKeyMessage,
    Session,
)

from libmatrix.crypto.account import OLM
from libmatrix.crypto.quota import Quota
from libmatrix.crypto.records import Device, OlmSession, decode_olm, encode
from libmatrix.crypto.signatures import decode_base64, encode_base64

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto
    from libmatrix.crypto.store import Key

_MOST_CACHED = 2_000
# With one device; the least recently used give way.
_MOST_SESSIONS = 16
# With devices that nobody knows, of one user and of all: anybody can make up any number of keys.
_MOST_OF_A_STRANGER = 100
_MOST_OF_STRANGERS = 5_000


class OlmError(Exception):
    """A message that could not be decrypted; the text holds nothing of it."""

    def __init__(self, text: str, *, is_wedged: bool = False) -> None:
        """`is_wedged`: a new session may help."""
        super().__init__(text)
        self.is_wedged = is_wedged


class _Open:
    """A session that is in memory."""

    __slots__ = ("kept", "session")

    def __init__(self, session: Session, kept: OlmSession) -> None:
        self.session = session
        self.kept = kept


class Olm:
    """All Olm sessions, loaded when they are needed."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._store = crypto.store
        # By the other device's key and user; within, the one used last is last.
        self._cache: OrderedDict[str, dict[str, _Open]] = OrderedDict()
        self._strangers: Quota[Key] = Quota(
            _MOST_OF_A_STRANGER, _MOST_OF_STRANGERS, self._load_strangers
        )
        crypto.devices.on_change.append(self._meet)

    def has_session(self, device: Device) -> bool:
        """Whether there is a session with the device."""
        return bool(self._sessions(_place(device)))

    def newest_ms(self, device: Device) -> int:
        """When the newest session with the device was made, ms since 1970; 0 without one."""
        sessions = self._sessions(_place(device)).values()
        return max((each.kept.created_ms for each in sessions), default=0)

    def forget_cached(self) -> None:
        """Has all sessions read from the store again."""
        self._cache.clear()

    # -- encrypting ---------------------------------------------------------------------------

    def begin(self, device: Device, one_time_key: str) -> bool:
        """Makes a session with a device by a key that it has signed; whether that was possible."""
        try:
            session = self._crypto.account.olm.create_outbound_session(
                Curve25519PublicKey.from_base64(device.curve25519),
                Curve25519PublicKey.from_base64(one_time_key),
            )
        except ValueError:
            return False
        self._add(_place(device), session)
        return True

    def encrypt(self, device: Device, event_type: str, content: dict[str, Any]) -> dict[str, Any]:
        """The content of an m.room.encrypted event for a device that there is a session with.

        What changes has to be written before it is sent: `flush`. Raises LookupError without a
        session.
        """
        account = self._crypto.account
        text = encode(
            {
                "type": event_type,
                "content": content,
                "sender": self._crypto.user_id,
                "recipient": device.user_id,
                "recipient_keys": {"ed25519": device.ed25519},
                "keys": {"ed25519": account.ed25519},
                "sender_device_keys": self._crypto.own_device_keys(),
            }
        )
        place = _place(device)
        sessions = self._sessions(place)
        if not sessions:
            raise LookupError(device.device_id)
        session_id = next(reversed(sessions))
        try:
            kind, body = sessions[session_id].session.encrypt(text).to_parts()
        except OlmEncryptionException as error:
            raise LookupError(str(error)) from None
        self._keep(place, session_id)
        ciphertext = {device.curve25519: {"type": kind, "body": encode_base64(body)}}
        return {
            "algorithm": OLM,
            "sender_key": account.curve25519,
            "ciphertext": ciphertext,
        }

    # -- decrypting ---------------------------------------------------------------------------

    def decrypt(self, sender: str, sender_key: str, kind: Any, body: Any) -> bytes:
        """What a message of the user's device with that key says; raises `OlmError`."""
        try:
            if type(kind) is not int or not isinstance(body, str):
                raise ValueError
            message = AnyOlmMessage.from_parts(kind, decode_base64(body))
            pre_key = message.to_pre_key()
        except (ValueError, OverflowError):
            raise OlmError("it is malformed") from None
        place = f"{sender_key}|{sender}"
        sessions = self._sessions(place)
        for session_id in reversed(list(sessions)):
            session = sessions[session_id].session
            is_his = pre_key is not None and session.session_matches(pre_key)
            if pre_key is not None and not is_his:
                continue
            try:
                plaintext = session.decrypt(message)
            except ValueError:
                if is_his:
                    raise OlmError("it was received before, or is damaged") from None
                continue
            self._used(place, session_id)
            return bytes(plaintext)
        if pre_key is None:
            raise OlmError("no session decrypts it", is_wedged=True)
        return self._begin_inbound(place, sender_key, pre_key)

    def _begin_inbound(self, place: str, sender_key: str, message: PreKeyMessage) -> bytes:
        account = self._crypto.account
        try:
            key = Curve25519PublicKey.from_base64(sender_key)
            session, plaintext = account.olm.create_inbound_session(key, message)
        except ValueError:
            # Its one-time key is used up or was never ours.
            raise OlmError("no session could be made from it", is_wedged=True) from None
        account.save()
        self._add(place, session)
        self._limit(place, session.session_id)
        return bytes(plaintext)

    # -- strangers ----------------------------------------------------------------------------

    def _limit(self, place: str, session_id: str) -> None:
        """Counts a new session if nobody knows whose it is; forgets those that are too many."""
        if self._is_known(place):
            return
        user_id = _user_of(place)
        self._store.stranger_sessions.put(place, session_id, f"{_now_ms():016}".encode())
        for gone in self._strangers.add(user_id, (place, session_id)):
            self._store.stranger_sessions.delete(*gone)
            self._forget(*gone)

    def _is_known(self, place: str) -> bool:
        return self._crypto.devices.by_key(_user_of(place), place.partition("|")[0]) is not None

    def _meet(self, user_id: str) -> None:
        """The sessions of devices that are known now count no more."""
        for place, session_id in self._strangers.of(user_id):
            if self._is_known(place):
                self._strangers.remove((place, session_id))
                self._store.stranger_sessions.delete(place, session_id)

    def _load_strangers(self) -> Iterator[tuple[str, Key, int]]:
        rows = self._store.stranger_sessions.all()
        for _, key in sorted((since, key) for key, since in rows.items()):
            yield _user_of(key[0]), key, 1

    # -- sessions -----------------------------------------------------------------------------

    def _sessions(self, place: str) -> dict[str, _Open]:
        found = self._cache.get(place)
        if found is not None:
            self._cache.move_to_end(place)
            return found
        rows = self._store.olm_sessions.of(place)
        kept = {session_id: decode_olm(row) for session_id, row in rows.items()}
        found = {}
        for session_id in sorted(kept, key=lambda each: kept[each].used_ms):
            try:
                session = Session.from_pickle(kept[session_id].pickle, self._store.key)
            except PickleException:
                continue
            found[session_id] = _Open(session, kept[session_id])
        self._cache[place] = found
        while len(self._cache) > _MOST_CACHED:
            # Nothing is lost: every change is in the store's tables already.
            self._cache.popitem(last=False)
        return found

    def _add(self, place: str, session: Session) -> None:
        sessions = self._sessions(place)
        now = _now_ms()
        sessions[session.session_id] = _Open(session, OlmSession(pickle="", created_ms=now))
        self._used(place, session.session_id)
        while len(sessions) > _MOST_SESSIONS:
            self._forget(place, next(iter(sessions)))

    def _forget(self, place: str, session_id: str) -> None:
        self._sessions(place).pop(session_id, None)
        self._store.olm_sessions.delete(place, session_id)
        if self._strangers.remove((place, session_id)):
            self._store.stranger_sessions.delete(place, session_id)

    def _used(self, place: str, session_id: str) -> None:
        """A session has shown that the other side has it: it is the one to encrypt with."""
        sessions = self._sessions(place)
        sessions[session_id] = opened = sessions.pop(session_id)
        opened.kept.used_ms = _now_ms()
        self._keep(place, session_id)

    def _keep(self, place: str, session_id: str) -> None:
        opened = self._sessions(place)[session_id]
        opened.kept.pickle = opened.session.pickle(self._store.key)
        self._store.olm_sessions.put(place, session_id, encode(opened.kept))


class Plaintext(msgspec.Struct):
    """What an Olm message says (specification: m.olm.v1.curve25519-aes-sha2)."""

    type: str
    content: dict[str, Any]
    sender: str
    recipient: str
    recipient_keys: dict[str, Any]
    keys: dict[str, Any]
    sender_device_keys: Any = None


def _place(device: Device) -> str:
    """The key alone would let anybody who publishes it as theirs spoil the owner's sessions."""
    return f"{device.curve25519}|{device.user_id}"


def _user_of(place: str) -> str:
    return place.partition("|")[2]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
