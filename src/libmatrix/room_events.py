"""Payloads of room events: what an event says, as fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from libmatrix.events import EventHead, read_timeline_event
from libmatrix.subscriptions import MEMBER, MESSAGE, Subscription
from libmatrix.sync_post import Post
from libmatrix.table_gen import Event

# Shorter ones hold an age and nothing else.
_LEAST_UNSIGNED = 24
_REDACTION = "m.room.redaction"
_REACTION = "m.reaction"
ENCRYPTED = "m.room.encrypted"

_encode = msgspec.json.Encoder().encode


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


class Marks(NamedTuple):
    """How an event came."""

    is_historic: bool
    is_filled: bool = False


class Decrypted(NamedTuple):
    """What takes the place of an encrypted event's own type and content."""

    type: str
    # JSON text of an object.
    content: Raw
    # JSON text of the field `encryption`.
    encryption: Raw


_LIVE = Marks(is_historic=False)

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
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
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
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


class Payload(msgspec.Struct, omit_defaults=True, gc=False):
    """The record `event` without its kind; in order, because that is quicker to make."""

    room_id: str
    event_id: str
    type: str
    sender: str
    origin_server_ts: int
    is_own: bool
    is_historic: bool
    is_filled: bool
    is_redacted: bool
    content: Raw
    raw: Raw
    body: str | None = None
    msgtype: str | None = None
    state_key: str | None = None
    membership: str | None = None
    redacts: str | None = None
    rel_type: str | None = None
    relates_to: str | None = None
    thread_id: str | None = None
    reply_to: str | None = None
    replaces: str | None = None
    new_body: str | None = None
    reaction_key: str | None = None
    txn_id: str | None = None
    prev_content: Raw | None = None
    encryption: Raw | None = None


def make_event(
    room_id: str,
    raw: bytes,
    user_id: str,
    kind: str,
    *,
    marks: Marks = _LIVE,
    decrypt: Decrypt | None = None,
) -> Event:
    """The record `event` of one event as /messages, /context and the like answer it.

    `raw` is its JSON text, `user_id` the client's own, `kind` what the record says it came by. It
    is the same record, field by field, that a subscription gets from a sync. Raises
    `MalformedEventError` for an event that a sync would leave out.
    """
    data = bytes(raw)
    head = read_timeline_event(data)
    head, encryption = unlock(decrypt, room_id, head, Raw(data))
    payload = _make(
        room_id, head, Raw(data), _read(head), head.sender == user_id, marks, encryption
    )
    return Event(kind=kind, **msgspec.structs.asdict(payload))


def unlock(
    decrypt: Decrypt | None, room_id: str, head: EventHead, raw: Raw
) -> tuple[EventHead, Raw | None]:
    """An encrypted event as what it says, and its field `encryption`; any other as it came."""
    is_encrypted = head.type == ENCRYPTED and head.state_key is None
    said = decrypt(room_id, head, raw) if decrypt and is_encrypted else None
    if said is None:
        return head, None
    return msgspec.structs.replace(head, type=said.type, content=said.content), said.encryption


def give_event(
    wishes: list[Subscription],
    room_id: str,
    head: EventHead,
    raw: Raw,
    is_own: bool,
    marks: Marks,
    post: Post,
    encryption: Raw | None = None,
) -> None:
    """Gives an event to those of the subscriptions that want it; built once, for the first."""
    content = _read(head)
    payload = b""
    for wish in wishes:
        if wish.takes_all or wish.wants(room_id, head, content.msgtype, is_own):
            if not payload:
                event = _make(room_id, head, raw, content, is_own, marks, encryption)
                # Without its first field, which is the kind.
                payload = _encode(event)[1:]
            post.add_event(wish.handle, wish.prefix, payload)


def _read(head: EventHead) -> _Content:
    try:
        return _decode_content(head.content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_loosely(head.content)


def _make(
    room_id: str,
    head: EventHead,
    raw: Raw,
    content: _Content,
    is_own: bool,
    marks: Marks,
    encryption: Raw | None,
) -> Payload:
    kind = head.type
    is_historic, is_filled = marks
    event = Payload(
        room_id,
        head.event_id,
        kind,
        head.sender,
        head.origin_server_ts,
        is_own,
        is_historic,
        is_filled,
        False,
        head.content,
        raw,
    )
    if kind == MESSAGE:
        event.body = content.body
        event.msgtype = content.msgtype
    else:
        _take_other(event, head, content)
    if content.relation is not None:
        _relate(event, content, content.relation)
    if len(head.unsigned) >= _LEAST_UNSIGNED:
        _take_unsigned(event, head.unsigned)
    event.encryption = encryption
    return event


def _take_other(event: Payload, head: EventHead, content: _Content) -> None:
    event.state_key = head.state_key
    if head.type == _REDACTION:
        event.redacts = content.redacts or _text(_decode_top(event.raw).redacts)
    elif head.type == MEMBER:
        event.membership = content.membership


def _relate(event: Payload, content: _Content, relation: _Relation) -> None:
    """Edits, replies, threads, reactions."""
    kind, target = relation.rel_type, relation.event_id
    if kind and target:
        event.rel_type, event.relates_to = kind, target
    if kind == "m.thread":
        event.thread_id = target
    elif kind == "m.replace" and event.state_key is None:
        event.replaces = target
        if content.new_content is not None:
            event.new_body = _text(content.new_content.body)
    elif kind == "m.annotation" and event.type == _REACTION:
        event.reaction_key = relation.key
    reply = relation.in_reply_to
    # In a thread it may be there only for clients that know no threads.
    if reply is not None and not (kind == "m.thread" and relation.is_falling_back):
        event.reply_to = reply.event_id


def _take_unsigned(event: Payload, raw: Raw) -> None:
    try:
        unsigned = _decode_unsigned(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    event.txn_id = _text(unsigned.transaction_id)
    if unsigned.prev_content:
        event.prev_content = unsigned.prev_content
    event.is_redacted = bool(unsigned.redacted_because) and unsigned.redacted_because != b"null"
