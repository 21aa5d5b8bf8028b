"""Who may do what in a room: power levels, and creators above them from room version 12 on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.rooms.room import RoomState, has_creator_power, take_create
from libmatrix.rooms.state_events import find_content

if TYPE_CHECKING:
    from libmatrix.client import Client

_LEVEL = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")
_MOST, _LEAST = (1 << 53) - 1, -(1 << 53) + 1
# What the specification says where the room says nothing.
DEFAULTS = {
    "users_default": 0,
    "events_default": 0,
    "state_default": 50,
    "invite": 0,
    "kick": 50,
    "ban": 50,
    "redact": 50,
}
_NOTIFY = 50
_CREATOR = 100


class _Levels(msgspec.Struct, gc=False):
    users: Any = None
    users_default: Any = None
    events: Any = None
    events_default: Any = None
    state_default: Any = None
    invite: Any = None
    kick: Any = None
    ban: Any = None
    redact: Any = None
    notifications: Any = None


class Permissions:
    """The rules of one room."""

    def __init__(self, creators: list[str], version: str | None, levels: _Levels | None) -> None:
        # Those who may do everything.
        self.creators = creators if has_creator_power(version) else []
        # There may be thousands, as there may be members.
        self._creators = frozenset(self.creators)
        # The content itself; None when the room has none.
        self.said = levels
        said = levels or _Levels()
        for name, default in DEFAULTS.items():
            setattr(self, name, _level(getattr(said, name), default))
        self.users = _map(said.users)
        if levels is None and not self.creators:
            self.users = dict.fromkeys(creators, _CREATOR)
        self.events = _map(said.events)
        room = said.notifications.get("room") if isinstance(said.notifications, dict) else None
        self.notify_room = _level(room, _NOTIFY)

    users_default: int
    events_default: int
    state_default: int
    invite: int
    kick: int
    ban: int
    redact: int

    def is_creator(self, user_id: str) -> bool:
        """Whether a user may do everything."""
        return user_id in self._creators

    def level(self, user_id: str) -> int | None:
        """A user's level; None where there is no limit."""
        if user_id in self._creators:
            return None
        return self.users.get(user_id, self.users_default)

    def to_send(self, kind: str, *, is_state: bool) -> int:
        """The level needed for an event."""
        return self.events.get(kind, self.state_default if is_state else self.events_default)

    def to_do(self, action: str, *, is_own: bool = False) -> int:
        """The level needed for an action; `is_own`: upon what the user sent."""
        if action == "unban":
            return max(self.ban, self.kick)
        if action == "redact":
            to_send = self.to_send("m.room.redaction", is_state=False)
            return to_send if is_own else max(self.redact, to_send)
        if action == "notify_room":
            return max(self.notify_room, self.to_send("m.room.message", is_state=False))
        needed = getattr(self, action)
        assert isinstance(needed, int)
        return needed

    def is_above(self, user_id: str, target: str) -> bool:
        """Whether one user may act upon another."""
        mine, theirs = self.level(user_id), self.level(target)
        if theirs is None:
            return False
        return mine is None or mine > theirs


async def read_permissions(client: Client, room_id: str) -> Permissions:
    """The rules of a room, from what is kept or from the homeserver."""
    levels = await find_content(client, room_id, "m.room.power_levels", "")
    room = client.state.rooms.get(room_id)
    if room is not None and room.version is not None and not room.is_stripped:
        return Permissions(room.creators, room.version, _decode(levels) if levels else None)
    creators, version = await _creators(client, room_id)
    return Permissions(creators, version, _decode(levels) if levels else None)


async def _creators(client: Client, room_id: str) -> tuple[list[str], str | None]:
    """For a room that was not synced. Who sent the event is not told with its content alone."""
    from libmatrix.events.head import read_event
    from libmatrix.rooms.state_events import fetch_events

    room = RoomState(room_id=room_id)
    for raw in await fetch_events(client, room_id):
        head = read_event(bytes(raw))
        if head.type == "m.room.create" and head.state_key == "":
            take_create(room, head)
            break
    return room.creators, room.version


def _decode(raw: Raw) -> _Levels:
    return msgspec.json.decode(raw, type=_Levels)


def read_level(value: Any) -> int | None:
    """An integer; as text too, which room versions before 10 allow."""
    if isinstance(value, str) and _LEVEL.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return min(max(value, _LEAST), _MOST)


def _level(value: Any, default: int) -> int:
    found = read_level(value)
    return default if found is None else found


def _map(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    levels = {name: read_level(each) for name, each in value.items()}
    return {name: level for name, level in levels.items() if level is not None}
