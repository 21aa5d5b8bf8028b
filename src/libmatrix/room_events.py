"""Payloads of room events: what an event says, as fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from libmatrix.events import EventHead
from libmatrix.subscriptions import MEMBER, MESSAGE, Subscription
from libmatrix.table_gen import Event

# Shorter ones hold an age and nothing else.
_LEAST_UNSIGNED = 24
_REDACTION = "m.room.redaction"
_REACTION = "m.reaction"
_HEAD_SIZE = len('{"kind":"",')

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


_decode_content = msgspec.json.Decoder(_Content).decode
_decode_loose = msgspec.json.Decoder(_LooseContent).decode
_decode_unsigned = msgspec.json.Decoder(_Unsigned).decode
_decode_top = msgspec.json.Decoder(_Top).decode


def read_content(raw: Raw) -> _Content:
    """What a content that is an object says; fields of another type than theirs are absent."""
    try:
        return _decode_content(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
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


def give_event(
    wishes: list[Subscription],
    room_id: str,
    head: EventHead,
    data: bytes,
    is_own: bool,
    marks: Marks,
    add: Callable[[int, bytes], None],
) -> None:
    """Gives an event to those of the subscriptions that want it; built once, for the first."""
    content = read_content(head.content)
    payload = b""
    for wish in wishes:
        if wish.takes_all or wish.wants(room_id, head, content.msgtype, is_own):
            if not payload:
                payload = _build(room_id, head, data, content, is_own, marks)
            add(wish.handle, wish.prefix + payload)


def _build(
    room_id: str, head: EventHead, data: bytes, content: _Content, is_own: bool, marks: Marks
) -> bytes:
    """The payload after its first field, which is the kind."""
    is_message = head.type == MESSAGE
    more = _more(head, data, content)
    event = Event(
        kind="",
        room_id=room_id,
        event_id=head.event_id,
        type=head.type,
        sender=head.sender,
        origin_server_ts=head.origin_server_ts,
        body=content.body if is_message else None,
        msgtype=content.msgtype if is_message else None,
        is_own=is_own,
        is_historic=marks.is_historic,
        content=head.content,
        raw=Raw(data),
        state_key=head.state_key,
        is_filled=marks.is_filled,
        is_redacted=more.pop("is_redacted", False),
        **more,
    )
    return _encode(event)[_HEAD_SIZE:]


def _more(head: EventHead, data: bytes, content: _Content) -> dict[str, Any]:
    """The fields that most events do not have."""
    more: dict[str, Any] = {}
    if content.relation is not None:
        _relate(more, head, content, content.relation)
    if head.type == _REDACTION:
        more["redacts"] = content.redacts or _text(_decode_top(data).redacts)
    elif head.type == MEMBER:
        more["membership"] = content.membership
    if len(memoryview(head.unsigned)) >= _LEAST_UNSIGNED:
        _take_unsigned(more, head.unsigned)
    return more


def _relate(more: dict[str, Any], head: EventHead, content: _Content, relation: _Relation) -> None:
    """Edits, replies, threads, reactions."""
    kind, target = relation.rel_type, relation.event_id
    if kind and target:
        more["rel_type"], more["relates_to"] = kind, target
    if kind == "m.thread":
        more["thread_id"] = target
    elif kind == "m.replace" and head.state_key is None:
        more["replaces"] = target
        if content.new_content is not None:
            more["new_body"] = _text(content.new_content.body)
    elif kind == "m.annotation" and head.type == _REACTION:
        more["reaction_key"] = relation.key
    reply = relation.in_reply_to
    # In a thread it may be there only for clients that know no threads.
    if reply is not None and not (kind == "m.thread" and relation.is_falling_back):
        more["reply_to"] = reply.event_id


def _take_unsigned(more: dict[str, Any], raw: Raw) -> None:
    try:
        unsigned = _decode_unsigned(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    more["txn_id"] = _text(unsigned.transaction_id)
    if unsigned.prev_content:
        more["prev_content"] = unsigned.prev_content
    more["is_redacted"] = bool(unsigned.redacted_because) and unsigned.redacted_because != b"null"
