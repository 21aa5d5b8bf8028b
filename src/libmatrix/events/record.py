"""The record `event`: what an event says, as fields.

Events of a sync that came in clear go to the core as they are, which makes the same record of them
(ffi/core/event.c). Here it is made of those that were encrypted, and those that are answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from libmatrix import frames
from libmatrix.errors import BROKEN_JSON
from libmatrix.events.head import EventHead
from libmatrix.sync.subscriptions import MEMBER, MESSAGE, REACTION, REDACTION
from libmatrix.table_gen import Event

ENCRYPTED = "m.room.encrypted"


class _InReplyTo(msgspec.Struct, gc=False):
    event_id: str | None = None


class _Relation(msgspec.Struct, gc=False):
    rel_type: str | None = None
    event_id: str | None = None
    key: str | None = None
    is_falling_back: bool | None = None
    in_reply_to: _InReplyTo | None = msgspec.field(default=None, name="m.in_reply_to")


class _NewContent(msgspec.Struct, gc=False):
    body: Any = None


class _Content(msgspec.Struct, gc=False):
    body: str | None = None
    msgtype: str | None = None
    membership: str | None = None
    redacts: str | None = None
    relation: _Relation | None = msgspec.field(default=None, name="m.relates_to")
    new_content: _NewContent | None = msgspec.field(default=None, name="m.new_content")


class _LooseContent(msgspec.Struct, gc=False):
    """The same when a field is of another type: that one counts as absent."""

    body: Any = None
    msgtype: Any = None
    membership: Any = None
    redacts: Any = None
    relation: Raw = msgspec.field(default=Raw(), name="m.relates_to")
    new_content: Raw = msgspec.field(default=Raw(), name="m.new_content")


class _Unsigned(msgspec.Struct, gc=False):
    transaction_id: Any = None
    prev_content: Raw = Raw()
    redacted_because: Raw = Raw()


class _Top(msgspec.Struct, gc=False):
    """Where room versions before 11 say what a redaction empties."""

    redacts: Any = None


# What is never encrypted: redactions cannot be, and a reaction is all relation.
CLEAR = frozenset({"m.room.redaction", "m.reaction"})
# The field `encryption` of an event that came in clear into an encrypted room.
IN_CLEAR = Raw(
    b'{"is_decrypted":false,"is_verified":false,"shield":"red","shield_reason":"sent_in_clear"}'
)


class Marks(NamedTuple):
    """How an event came."""

    is_historic: bool
    is_filled: bool = False

    @property
    def flags(self) -> int:
        """The same for a run."""
        return self.is_historic * frames.HISTORIC | self.is_filled * frames.FILLED


class Decrypted(NamedTuple):
    """What takes the place of an encrypted event's own type and content."""

    type: str
    # JSON text of an object.
    content: Raw
    # JSON text of the field `encryption`.
    encryption: Raw


# What is shorter holds an age and nothing else.
_LEAST_UNSIGNED = len(b'{"prev_content":{}}')

# The room, the head and the slice of an event of type m.room.encrypted; None: it stays as it is.
Decrypt = Callable[[str, EventHead, Raw], Decrypted | None]


_decode_content = msgspec.json.Decoder(_Content).decode
_decode_loose = msgspec.json.Decoder(_LooseContent).decode
_decode_unsigned = msgspec.json.Decoder(_Unsigned).decode
_decode_top = msgspec.json.Decoder(_Top).decode


def _read_loosely(raw: Raw) -> _Content:
    """What a content that is an object says; fields of another type than theirs are absent."""
    try:
        loose = _decode_loose(raw)
    except BROKEN_JSON:
        return _Content()
    return _Content(
        body=_text(loose.body),
        msgtype=_text(loose.msgtype),
        membership=_text(loose.membership),
        redacts=_text(loose.redacts),
        relation=_part(loose.relation, _Relation),
        new_content=_part(loose.new_content, _NewContent),
    )


def _part(raw: Raw, kind: type[msgspec.Struct]) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind) if raw else None
    except BROKEN_JSON:
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def unlock(
    decrypt: Decrypt | None, room_id: str, head: EventHead, raw: Raw, *, is_clear: bool = True
) -> tuple[EventHead, Raw | None]:
    """An encrypted event as what it says, and its field `encryption`; any other as it came.

    Without `is_clear` the room is encrypted: what came in clear and should not have says so.
    """
    if head.type != ENCRYPTED or head.state_key is not None:
        is_right = is_clear or head.state_key is not None or head.type in CLEAR
        return head, None if is_right else IN_CLEAR
    said = decrypt(room_id, head, raw) if decrypt else None
    if said is None:
        return head, None
    return msgspec.structs.replace(head, type=said.type, content=said.content), said.encryption


def came_encrypted(event: Event) -> bool:
    """Whether an event was encrypted, so that no homeserver made it up; also if it still is."""
    return event.type == ENCRYPTED or event.encryption not in (None, IN_CLEAR)


def make_record(
    room_id: str,
    head: EventHead,
    raw: Raw,
    user_id: str,
    kind: str,
    marks: Marks,
    encryption: Raw | None,
) -> Event:
    """The record of an event that is known to be sound, and may have been encrypted."""
    content = _read(head.content)
    # By position, which is quicker by far.
    record = Event(
        kind,
        room_id,
        head.event_id,
        head.type,
        head.sender,
        head.origin_server_ts,
        head.sender == user_id,
        marks.is_historic,
        head.content,
        raw,
        False,
        marks.is_filled,
        state_key=head.state_key,
    )
    if head.type == MESSAGE:
        record.body, record.msgtype = content.body, content.msgtype
    elif head.type == REDACTION:
        record.redacts = content.redacts or _text(_decode_top(raw).redacts)
    elif head.type == MEMBER:
        record.membership = content.membership
    if content.relation is not None:
        _relate(record, content, content.relation)
    if len(head.unsigned) >= _LEAST_UNSIGNED:
        _take_unsigned(record, head.unsigned)
    record.encryption = encryption
    return record


def _read(raw: Raw) -> _Content:
    try:
        return _decode_content(raw)
    except BROKEN_JSON:
        return _read_loosely(raw)


def _relate(record: Event, content: _Content, relation: _Relation) -> None:
    """Edits, replies, threads, reactions."""
    kind, target = relation.rel_type, relation.event_id
    if kind and target:
        record.rel_type, record.relates_to = kind, target
    if kind == "m.thread":
        record.thread_id = target
    elif kind == "m.replace" and record.state_key is None:
        record.replaces = target
        if content.new_content is not None:
            record.new_body = _text(content.new_content.body)
    elif kind == "m.annotation" and record.type == REACTION:
        record.reaction_key = relation.key
    reply = relation.in_reply_to
    # In a thread it may be there only for clients that know no threads.
    if reply is not None and not (kind == "m.thread" and relation.is_falling_back):
        record.reply_to = reply.event_id


def _take_unsigned(record: Event, raw: Raw) -> None:
    """What the homeserver adds to an event."""
    try:
        unsigned = _decode_unsigned(raw)
    except BROKEN_JSON:
        return
    record.txn_id = _text(unsigned.transaction_id)
    record.prev_content = unsigned.prev_content or None
    record.is_redacted = bytes(unsigned.redacted_because) not in (b"", b"null")
