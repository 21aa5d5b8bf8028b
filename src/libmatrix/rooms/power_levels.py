"""Changing m.room.power_levels: what is not changed stays as the room has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.errors import ArgumentError
from libmatrix.identifiers import check_user_id
from libmatrix.rooms.permissions import DEFAULTS, Permissions, read_permissions
from libmatrix.rooms.state_events import fetch_map
from libmatrix.table_gen import SetPowerLevelsArguments

if TYPE_CHECKING:
    from libmatrix.client import Client

_KIND = "m.room.power_levels"
_MOST = (1 << 53) - 1


def check_level(level: int, name: str) -> None:
    """Raises ArgumentError for what canonical JSON cannot carry."""
    if not -_MOST <= level <= _MOST:
        raise ArgumentError(f"{name}: must have at most 53 bits")


def changes(arguments: SetPowerLevelsArguments) -> dict[str, Any]:
    """The part of the content that shall change. Raises `ArgumentError`."""
    found: dict[str, Any] = {}
    for name in DEFAULTS:
        level = getattr(arguments, name)
        if level is not None:
            check_level(level, name)
            found[name] = level
    if arguments.notify_room is not None:
        check_level(arguments.notify_room, "notify_room")
        found["notifications"] = {"room": arguments.notify_room}
    if arguments.users:
        found["users"] = _levels(arguments.users, "users")
        for user_id in found["users"]:
            check_user_id(user_id, "users")
    if arguments.events:
        found["events"] = _levels(arguments.events, "events")
    if not found:
        raise ArgumentError("options: there is nothing to change")
    return found


async def changed(client: Client, room_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """The new content, made from what the homeserver has. Raises `ArgumentError`."""
    rules = await read_permissions(client, room_id)
    for user_id in wanted.get("users", ()):
        if rules.is_creator(user_id):
            raise ArgumentError(f"users: {user_id} is a creator of the room and has no level")
    content = await _current(client, room_id, rules)
    notify = content.get("notifications")
    if "notifications" in wanted and isinstance(notify, dict):
        wanted = wanted | {"notifications": notify | wanted["notifications"]}
    return content | wanted


async def with_user(
    client: Client, room_id: str, user_id: str, level: int
) -> dict[str, Any] | None:
    """The new content when one user's level changes; None when it is that already.

    Raises `ArgumentError`.
    """
    rules = await read_permissions(client, room_id)
    if rules.is_creator(user_id):
        raise ArgumentError(f"user_id: {user_id} is a creator of the room and has no level")
    content = await _current(client, room_id, rules)
    users = content.get("users")
    users = dict(users) if isinstance(users, dict) else {}
    before = users.pop(user_id, None)
    default = content.get("users_default", DEFAULTS["users_default"])
    if level != default:
        users[user_id] = level
    if before == users.get(user_id):
        return None
    return content | {"users": users}


async def _current(client: Client, room_id: str, rules: Permissions) -> dict[str, Any]:
    """What the room says; where it says nothing, who stands above keeps standing there."""
    return await fetch_map(client, room_id, _KIND) or {"users": dict(rules.users)}


def _levels(raw: Raw, name: str) -> dict[str, int]:
    try:
        levels = msgspec.json.decode(raw, type=dict[str, int])
    except msgspec.MsgspecError:
        raise ArgumentError(f"{name}: must be a map to integers") from None
    for key, level in levels.items():
        check_level(level, f"{name}.{key}")
    return levels
