"""Single events: whether one is sound enough to be passed on, and its head.

The limits are those the core's JSON parser and the hosts have: 64 levels, 64-bit integers, finite
numbers, UTF-8. msgspec has checked the syntax of a slice when it comes here, not these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Annotated, Any, TypeGuard

import msgspec
from msgspec import Raw

from libmatrix.errors import BROKEN_JSON

DEEPEST = 64
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1

# One pass over the bytes makes all digits 0, both brackets {, e of E, and 0 of a plus sign; then an
# integer beyond 64 bits has 19 zeros in a row, and an exponent beyond 99 reads 0e000.
_LIKENESS = bytes.maketrans(b"0123456789E[+", b"0000000000e{0")
_LONG_NUMBER = b"0" * 19
_LARGE_EXPONENT = b"0e000"

_BRACE = ord("{")
# One without an end runs to that of the text. It never goes back: what is broken is not looked at
# again from each of its quotes, and no escape costs memory.
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_STRING = re.compile(STRING, re.DOTALL)
# Half of a pair, perhaps: msgspec looks at it only when it decodes the string.
_SURROGATE = b"\\ud"
_STRUCTURE = re.compile(STRING + rb"|[{}\[\]]", re.DOTALL)


class EventHead(msgspec.Struct, gc=False):
    """What routing, state and filters need of an event; the rest stays in the slice."""

    type: str
    content: Raw
    sender: str = ""
    event_id: str = ""
    origin_server_ts: int = 0
    state_key: str | None = None
    unsigned: Raw = Raw()


class _Object(msgspec.Struct, gc=False):
    pass


class _Said(msgspec.Struct, gc=False):
    msgtype: Any = None


class _Saying(msgspec.Struct, gc=False):
    content: _Said


_Given = Annotated[str, msgspec.Meta(min_length=1)]


class Brief(msgspec.Struct, gc=False):
    """The head of an event of a timeline, when it is one of many: quicker to make."""

    type: str
    content: _Object
    sender: _Given
    event_id: _Given
    origin_server_ts: int = 0
    state_key: str | None = None


class MalformedEventError(Exception):
    """An event that is left out; the text says why, without its values."""


_state_key_of = attrgetter("state_key")
_type_of = attrgetter("type")


_decode_head = msgspec.json.Decoder(EventHead).decode
_decode_heads = msgspec.json.Decoder(list[EventHead]).decode
_decode_briefs = msgspec.json.Decoder(list[Brief]).decode
_decode_any = msgspec.json.Decoder().decode


def read_event(data: bytes, is_tame: bool = False) -> EventHead:
    """The head of an event that is sound; raises `MalformedEventError`.

    `is_tame` is what `Bridge.is_tame` said of the whole text that it comes from.
    """
    if not is_tame and not _is_plain(data):
        _check_closely(data)
    try:
        head = _decode_head(data)
    except BROKEN_JSON as error:
        raise MalformedEventError(_reason(error)) from None
    if memoryview(head.content)[0] != _BRACE:
        raise MalformedEventError("its content is no object")
    return head


def read_content(data: bytes | Raw) -> Raw:
    """A map that is within the limits of events, itself. Raises `MalformedEventError`."""
    return read_event(b'{"type":"m","content":%b}' % data).content


def read_timeline_event(data: bytes, is_tame: bool = False) -> EventHead:
    """The same for an event that must have an id and a sender. Raises `MalformedEventError`."""
    head = read_event(data, is_tame)
    if not head.event_id or not head.sender:
        raise MalformedEventError("it has no event_id or no sender")
    return head


def read_timeline(
    raws: list[Raw], is_tame: bool
) -> Sequence[Brief | EventHead | MalformedEventError]:
    """The heads of a timeline's events, or what is wrong with them; in one go, if that can be."""
    if is_tame:
        try:
            return _decode_briefs(b"[%b]" % b",".join(raws))
        except BROKEN_JSON:
            pass
    return [_try(read_timeline_event, raw, is_tame) for raw in raws]


def read_state(raws: list[Raw], is_tame: bool) -> Sequence[EventHead | MalformedEventError]:
    """The same for state events, with their contents."""
    if is_tame:
        try:
            heads = _decode_heads(b"[%b]" % b",".join(raws))
        except BROKEN_JSON:
            pass
        else:
            if all(memoryview(head.content)[0] == _BRACE for head in heads):
                return heads
    return [_try(read_event, raw, is_tame) for raw in raws]


def _try(
    read: Callable[[bytes, bool], EventHead], raw: Raw, is_tame: bool
) -> EventHead | MalformedEventError:
    try:
        return read(bytes(raw), is_tame)
    except MalformedEventError as error:
        return error


def are_alike(
    heads: Sequence[Brief | EventHead | MalformedEventError], but: str | None
) -> TypeGuard[Sequence[Brief]]:
    """Whether they are sound, no state, and none is of the type `but`; a quick look."""
    return (
        bool(heads)
        and isinstance(heads[0], Brief)
        and [*map(_state_key_of, heads)].count(None) == len(heads)
        and (but is None or but not in map(_type_of, heads))
    )


def msgtype_of(head: Brief | EventHead, raw: Raw) -> Any:
    """The msgtype of a sound event; of one that was decrypted what its head says."""
    if isinstance(head, Brief):
        return msgspec.json.decode(raw, type=_Saying).content.msgtype
    return content(head.content, _Said).msgtype


def _is_plain(data: bytes) -> bool:
    """A quick look that rules out everything beyond the limits, or leaves it open."""
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            return False
        if _SURROGATE in data:
            return False
    # What is in strings is no number and no bracket; they are taken out only if they disturb.
    return _is_within(data) or _is_within(_STRING.sub(b"", data))


def _is_within(data: bytes) -> bool:
    likeness = data.translate(_LIKENESS)
    return (
        _LONG_NUMBER not in likeness
        and _LARGE_EXPONENT not in likeness
        and likeness.count(b"{") <= DEEPEST
    )


def _check_closely(data: bytes) -> None:
    """Raises when the JSON is beyond a limit. First the depth, as the parser recurses."""
    if depth(data) > DEEPEST:
        raise MalformedEventError(f"deeper than {DEEPEST} levels")
    try:
        values = [_decode_any(data)]
    except BROKEN_JSON as error:
        raise MalformedEventError(_reason(error)) from None
    while values:
        value: Any = values.pop()
        if isinstance(value, dict):
            values += value.values()
        elif isinstance(value, list):
            values += value
        elif isinstance(value, int) and not _LEAST <= value <= _MOST:
            raise MalformedEventError("an integer beyond 64 bits")


def depth(data: bytes) -> int:
    """How deep a JSON text is nested, found without recursion."""
    level = deepest = 0
    for token in _STRUCTURE.finditer(data):
        mark = data[token.start()]
        if mark in b"{[":
            level += 1
            deepest = max(deepest, level)
        elif mark in b"}]":
            level -= 1
    return deepest


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, RecursionError):
        return f"deeper than {DEEPEST} levels"
    # msgspec names places and types, never values.
    return str(error)


def content(raw: Raw, kind: type[msgspec.Struct]) -> Any:
    """The content of a checked event as a struct whose fields all have defaults."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.MsgspecError:
        return kind()
