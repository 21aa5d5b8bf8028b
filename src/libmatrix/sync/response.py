"""The answer to /sync: decoded in one pass, or piece by piece when something in it is broken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Raw, Struct

from libmatrix.errors import BROKEN_JSON, ResponseError
from libmatrix.events.head import STRING

T = TypeVar("T", bound=Struct)


class Events(Struct, gc=False):
    """A section that is a list of events."""

    events: list[Raw] = []


class Summary(Struct, gc=False):
    """What the server says about a room's members; absent means unchanged."""

    heroes: list[str] | None = msgspec.field(default=None, name="m.heroes")
    joined: int | None = msgspec.field(default=None, name="m.joined_member_count")
    invited: int | None = msgspec.field(default=None, name="m.invited_member_count")


class Unread(Struct, gc=False):
    """Unread counts of a room."""

    notification_count: int = 0
    highlight_count: int = 0


class Timeline(Struct, gc=False):
    """A room's newest events."""

    events: list[Raw] = []
    limited: bool = False
    prev_batch: str | None = None


_STATE_AFTER = "org.matrix.msc4222.state_after"


class JoinedRoom(Struct, gc=False):
    """News of a joined room."""

    summary: Summary | None = None
    # Before the timeline; or, where the server has it, after.
    state: Events = msgspec.field(default_factory=Events)
    state_after: Events | None = None
    early_state_after: Events | None = msgspec.field(default=None, name=_STATE_AFTER)
    timeline: Timeline = msgspec.field(default_factory=Timeline)
    ephemeral: Events = msgspec.field(default_factory=Events)
    account_data: Events = msgspec.field(default_factory=Events)
    unread_notifications: Unread | None = None


class InvitedRoom(Struct, gc=False):
    """An invite."""

    invite_state: Events = msgspec.field(default_factory=Events)


class KnockedRoom(Struct, gc=False):
    """A knock of this user."""

    knock_state: Events = msgspec.field(default_factory=Events)


class LeftRoom(Struct, gc=False):
    """A room the user is no longer in."""

    state: Events = msgspec.field(default_factory=Events)
    state_after: Events | None = None
    early_state_after: Events | None = msgspec.field(default=None, name=_STATE_AFTER)
    timeline: Timeline = msgspec.field(default_factory=Timeline)
    account_data: Events = msgspec.field(default_factory=Events)


class Rooms(Struct, gc=False):
    """News by room id."""

    join: dict[str, JoinedRoom] = {}
    invite: dict[str, InvitedRoom] = {}
    knock: dict[str, KnockedRoom] = {}
    leave: dict[str, LeftRoom] = {}


class DeviceLists(Struct, gc=False):
    """Users whose devices changed, and who are not met in an encrypted room any more."""

    changed: list[str] = []
    left: list[str] = []


class SyncResponse(Struct, gc=False):
    """What is new."""

    next_batch: str = ""
    presence: Events = msgspec.field(default_factory=Events)
    to_device: Events = msgspec.field(default_factory=Events)
    account_data: Events = msgspec.field(default_factory=Events)
    rooms: Rooms = msgspec.field(default_factory=Rooms)
    device_lists: DeviceLists = msgspec.field(default_factory=DeviceLists)
    # Counts by algorithm; of fallback keys, the algorithms that have an unused one.
    device_one_time_keys_count: dict[str, Any] | None = None
    device_unused_fallback_key_types: list[Any] | None = None


class _Chunk(Struct, gc=False):
    chunk: list[Raw]


_decode = msgspec.json.Decoder(SyncResponse).decode


def decode_sync(body: bytes) -> tuple[SyncResponse, list[str]]:
    """The response, and the places of fields that had to be left out because they are broken.

    Raises `ResponseError`.
    """
    broken: list[str] = []
    try:
        response = _decode(body)
    except BROKEN_JSON:
        response, broken = salvage(body, SyncResponse)
    if not response.next_batch:
        raise ResponseError("the answer to sync has no next_batch")
    return response, broken


def salvage(body: bytes, kind: type[T]) -> tuple[T, list[str]]:
    """An object of which the sound parts are kept, and the places of those that are not.

    Raises `ResponseError` where it is no object.
    """
    broken: list[str] = []
    return _salvage(body, kind, "", broken), broken


def require_chunk(found: list[Raw], body: bytes) -> None:
    """Raises `ResponseError` when a page has no events because it is none: that is not the end."""
    try:
        if not found:
            msgspec.json.decode(body, type=_Chunk)
    except BROKEN_JSON:
        raise ResponseError("the homeserver's answer holds no list of events") from None


# -- piece by piece -------------------------------------------------------------------------------

_STRING = re.compile(STRING, re.DOTALL)
# To the next bracket or, in what is to be split, the next comma: strings and all else are passed.
_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:' + STRING + rb'[^"{}\[\]]*+)*+[{}\[\]]', re.DOTALL)
_BOUNDARY = re.compile(rb'[^"{}\[\],]*+(?:' + STRING + rb'[^"{}\[\],]*+)*+[{}\[\],]', re.DOTALL)


def _salvage(data: bytes, kind: type[T], place: str, broken: list[str]) -> T:
    """An object of which at least the sound parts are kept."""
    try:
        return msgspec.json.decode(data, type=kind)
    except BROKEN_JSON:
        pass
    members = dict(_members(data, place, broken))
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}
    for field, name in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True):
        part = members.get(name)
        if part is not None:
            value = _salvage_value(part, hints[field], f"{place}.{name}" if place else name, broken)
            if value is not None:
                found[field] = value
    return kind(**found)


def _salvage_value(data: bytes, hint: Any, place: str, broken: list[str]) -> Any:
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not type(None)]
    if get_origin(hint) is list and kinds == [Raw]:
        return [Raw(item) for item in _parts(data, b"[]", place, broken)]
    if get_origin(hint) is dict:
        room = kinds[1]
        return {
            name: _salvage(part, room, f"{place}[{name}]", broken)
            for name, part in _members(data, place, broken)
        }
    if len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], Struct):
        return _salvage(data, kinds[0], place, broken)
    try:
        return msgspec.json.decode(data, type=hint)
    except BROKEN_JSON:
        broken.append(place)
        return None


def _members(data: bytes, place: str, broken: list[str]) -> Iterator[tuple[str, bytes]]:
    """Names and values of an object."""
    for part in _parts(data, b"{}", place, broken):
        key = _STRING.match(part)
        try:
            if key is None or part[key.end() :].lstrip()[:1] != b":":
                raise ValueError
            name = msgspec.json.decode(key.group(), type=str)
        except (ValueError, *BROKEN_JSON):
            broken.append(f"{place}: a member without a name")
            continue
        yield name, part[key.end() :].lstrip()[1:].strip()


def _parts(data: bytes, brackets: bytes, place: str, broken: list[str]) -> Iterator[bytes]:
    """What the commas of a list or an object separate, found without recursion."""
    data = data.strip()
    if len(data) < 2 or data[0] != brackets[0] or data[-1] != brackets[1]:
        if not place:
            raise ResponseError("the homeserver's answer is no JSON object")
        broken.append(place)
        return
    level = start = end = 1
    while found := (_BOUNDARY if level == 1 else _BRACKET).match(data, end):
        end = found.end()
        mark = data[end - 1]
        if mark in b"{[":
            level += 1
        elif mark in b"}]":
            level -= 1
        if (level == 1 and mark == 0x2C) or (level == 0 and end == len(data)):
            part = data[start : end - 1].strip()
            if part:
                yield part
            start = end
    if start < len(data):
        # Its end is inside a string, or a bracket is missing.
        yield data[start:-1].strip()
