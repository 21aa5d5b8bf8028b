"""Events of encrypted rooms in clear, and what is known of who wrote them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Raw
from vodozemac import MegolmMessage

from libmatrix.crypto.account import MEGOLM
from libmatrix.crypto.hidden import weight_of
from libmatrix.crypto.late import waiting_place
from libmatrix.crypto.records import RoomKey
from libmatrix.crypto.room_keys import OpenKey
from libmatrix.crypto.trust_levels import shield_of
from libmatrix.errors import BROKEN_JSON
from libmatrix.events.head import EventHead, MalformedEventError, read_event
from libmatrix.events.record import Decrypted

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

# Events that wait for a key; beyond it they are only reported.
_MOST_WAITING = 10_000
_MOST_OF_A_ROOM = 1_000
# The specification's largest event has 65,536.
_MOST_BYTES = 100_000
_SIZES = "SELECT first, length(value) FROM undecrypted_event"
# What nobody encrypts: the homeserver has to check who may redact.
_NEVER_ENCRYPTED = frozenset({"m.room.redaction", "m.room.encrypted"})

Reason = Literal[
    "missing_key",
    "withheld",
    "unknown_index",
    "bad_message",
    "replayed",
    "wrong_room",
    "wrong_sender",
    "unsupported_algorithm",
    "untrusted_device",
]


class Encryption(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The field `encryption` of an event."""

    algorithm: str | None = None
    session_id: str | None = None
    is_decrypted: bool
    is_verified: bool
    # The colour to show, and why.
    shield: str
    # Why it could not be decrypted, or is not shown.
    code: str | None = None
    withheld_code: str | None = None
    # Who is proven to have sent it.
    sender: str | None = None
    sender_device_id: str | None = None
    sender_key: str | None = None
    shield_reason: str | None = None
    # The host was given it before, undecrypted.
    is_late: bool = False


class _Megolm(msgspec.Struct, gc=False):
    algorithm: Any = None
    ciphertext: Any = None
    session_id: Any = None
    sender_key: Any = None
    relates_to: Raw = msgspec.field(default=Raw(), name="m.relates_to")


class _Plaintext(msgspec.Struct, gc=False):
    type: str
    content: Raw
    room_id: str


class _UndecryptedError(Exception):
    """Why an event stays as it is."""

    def __init__(self, code: Reason, withheld_code: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.withheld_code = withheld_code


_encode = msgspec.json.Encoder().encode
_decode_content = msgspec.json.Decoder(_Megolm).decode
_decode_plaintext = msgspec.json.Decoder(_Plaintext).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


def _read(key: OpenKey, ciphertext: str) -> tuple[_Plaintext, int]:
    """What a ciphertext says, and its index in the session."""
    try:
        message = MegolmMessage.from_base64(ciphertext)
        if message.message_index() < key.kept.first_index:
            raise _UndecryptedError("unknown_index")
        plain = key.session.decrypt(message)
        text = bytes(plain.plaintext)
        read_event(text)
        return _decode_plaintext(text), plain.message_index
    except (ValueError, MalformedEventError, msgspec.MsgspecError):
        raise _UndecryptedError("bad_message") from None


class Decryptor:
    """Decrypts one event at a time, without waiting for anything."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._store = crypto.store
        # What the events of each room that wait for their keys count, by their size.
        self._waiting: Counter[str] | None = None
        self._total = 0
        # Given anew because their key came.
        self.is_late = False
        # What the last event says that the policy keeps from the host.
        self.hidden: EventHead | None = None

    def open(self, room_id: str, head: EventHead, raw: Raw) -> Decrypted | None:
        """What `client.decrypt` does. An event without ciphertext was redacted and stays."""
        self.hidden = None
        try:
            content = _decode_content(head.content)
        except BROKEN_JSON:
            content = _Megolm()
        if content.algorithm is None and content.ciphertext is None:
            return None
        try:
            return self._decrypt(room_id, head, content)
        except _UndecryptedError as failure:
            return self._failed(room_id, head, raw, content, failure)

    def _decrypt(self, room_id: str, head: EventHead, content: _Megolm) -> Decrypted:
        if content.algorithm != MEGOLM:
            raise _UndecryptedError("unsupported_algorithm")
        session_id, ciphertext = content.session_id, content.ciphertext
        if not isinstance(session_id, str) or not isinstance(ciphertext, str):
            raise _UndecryptedError("bad_message")
        key = self._crypto.room_keys.open(room_id, session_id)
        if key is None:
            raise _UndecryptedError("missing_key")
        said = self._describe(key, head.sender)
        inner, message_index = _read(key, ciphertext)
        if inner.room_id != room_id:
            raise _UndecryptedError("wrong_room")
        if inner.type in _NEVER_ENCRYPTED:
            raise _UndecryptedError("bad_message")
        self._check_index(key, f"{message_index}|{head.sender}", head)
        shown = inner.content
        if content.relates_to:
            # Relations are outside, where the homeserver can see them.
            members = _decode_members(shown)
            members["m.relates_to"] = content.relates_to
            shown = Raw(_encode(members))
        if not said:
            self.hidden = msgspec.structs.replace(head, type=inner.type, content=shown)
            raise _UndecryptedError("untrusted_device")
        return Decrypted(inner.type, shown, said)

    def _check_index(self, key: OpenKey, index: str, head: EventHead) -> None:
        """An index belongs to one event for ever: whoever shows it again replays a message.

        Of each sender: what somebody else repeats does not use up the real one.
        """
        name = f"{head.event_id}|{head.origin_server_ts}".encode()
        used = key.indices.get(index)
        if used is None:
            if not key.indices:
                self._crypto.room_keys.used(key)
            key.indices[index] = name
            self._store.indices.put(key.kept.session_id, index, name)
        elif used != name:
            raise _UndecryptedError("replayed")

    # -- who ----------------------------------------------------------------------------------

    def _describe(self, key: OpenKey, sender: str) -> Raw:
        """The field `encryption`, the same for all of a session's events until trust changes.

        Empty: the policy says not to show them.
        """
        stamp = self._crypto.trust_stamp
        if key.stamp != stamp:
            key.said.clear()
            key.stamp = stamp
        if sender not in key.said:
            key.said[sender] = self._make(key.kept, sender)
        said = key.said[sender]
        if said is None:
            raise _UndecryptedError("wrong_sender")
        if self.is_late and said:
            return Raw(bytes(said)[:-1] + b',"is_late":true}')
        return said

    def shows(self, room_id: str, session_id: str, sender: str) -> bool:
        """Whether the host may see what a user says with a session."""
        key = self._crypto.room_keys.open(room_id, session_id)
        return key is not None and bool(self._make(key.kept, sender))

    def _make(self, kept: RoomKey, sender: str) -> Raw | None:
        """None: the session is somebody else's. Empty: the policy says not to show it."""
        theirs = kept.as_of(sender)
        if theirs is None:
            return None
        shield = shield_of(self._crypto, theirs, sender)
        if not self._crypto.policy.shows(shield):
            return Raw(b"")
        device = shield.device
        record = Encryption(
            algorithm=MEGOLM,
            session_id=kept.session_id,
            is_decrypted=True,
            sender=sender if shield.is_proven else None,
            sender_device_id=device.device_id if device is not None else None,
            sender_key=theirs.sender_key or None,
            is_verified=shield.is_verified,
            shield=shield.color,
            shield_reason=shield.reason,
        )
        return Raw(_encode(record))

    # -- what cannot be decrypted -------------------------------------------------------------

    def _failed(
        self, room_id: str, head: EventHead, raw: Raw, content: _Megolm, failure: _UndecryptedError
    ) -> Decrypted:
        session_id = content.session_id if isinstance(content.session_id, str) else None
        algorithm = content.algorithm if isinstance(content.algorithm, str) else None
        code, withheld_code = failure.code, None
        if session_id is not None and code in ("missing_key", "unknown_index"):
            sender_key = content.sender_key if isinstance(content.sender_key, str) else None
            said = (room_id, session_id, head.sender, sender_key)
            withheld_code = self._crypto.withheld.code(*said)
            if withheld_code is not None and code == "missing_key":
                code = "withheld"
            self._wait(room_id, session_id, head, raw)
            self._crypto.missing_key(room_id, session_id)
        elif session_id is not None and code == "wrong_sender":
            # Somebody else's copy of the session came first, perhaps.
            self._wait(room_id, session_id, head, raw)
        elif session_id is not None and code == "untrusted_device" and len(raw) <= _MOST_BYTES:
            place = waiting_place(room_id, session_id)
            self._crypto.hidden.keep(place, head.event_id, head.sender, bytes(raw))
            self.waits_no_more(place, head.event_id)
        record = Encryption(
            algorithm=algorithm,
            session_id=session_id,
            is_decrypted=False,
            is_verified=False,
            shield="none",
            code=code,
            withheld_code=withheld_code,
        )
        return Decrypted(head.type, head.content, Raw(_encode(record)))

    def _wait(self, room_id: str, session_id: str, head: EventHead, raw: Raw) -> None:
        table, place = self._store.undecrypted, waiting_place(room_id, session_id)
        waiting = self._count_waiting()
        is_full = (
            len(raw) > _MOST_BYTES
            or self._total >= _MOST_WAITING
            or waiting[room_id] >= _MOST_OF_A_ROOM
        )
        # No real id has the mark that divides the two.
        if is_full or "|" in session_id or table.get(place, head.event_id) is not None:
            return
        self._weigh(room_id, len(raw), 1)
        table.put(place, head.event_id, bytes(raw))

    def waits_no_more(self, place: str, event_id: str) -> None:
        """Forgets an event that waited."""
        raw = self._store.undecrypted.get(place, event_id)
        if raw is not None:
            self._count_waiting()
            self._weigh(place.rpartition("|")[0], len(raw), -1)
            self._store.undecrypted.delete(place, event_id)

    def redacted(self, room_id: str, event_id: str) -> None:
        """An event must not be given any more, whatever comes."""
        self._crypto.hidden.redacted(room_id, event_id)
        if self._count_waiting()[room_id] > 0:
            for place, name in self._store.undecrypted.places():
                if name == event_id and place.rpartition("|")[0] == room_id:
                    self.waits_no_more(place, name)

    def has_waiting(self, room_id: str) -> bool:
        """Whether events of a room wait for their keys, or are hidden."""
        return self._count_waiting()[room_id] > 0 or self._crypto.hidden.has(room_id)

    def _weigh(self, room_id: str, size: int, sign: int) -> None:
        assert self._waiting is not None
        self._waiting[room_id] += sign * weight_of(size)
        self._total += sign * weight_of(size)

    def _count_waiting(self) -> Counter[str]:
        if self._waiting is None:
            self._waiting = Counter()
            # What is not in the file yet was counted when it came.
            for place, size in self._store.disk.rows(_SIZES):
                self._weigh(place.rpartition("|")[0], size, 1)
        return self._waiting
