"""Ids as hosts give them: refused here by name when they cannot be what they should be."""

from __future__ import annotations

from collections.abc import Iterable

from libmatrix.errors import ArgumentError

_MOST_BYTES = 255


def _check(value: str, name: str, sigil: str, what: str, *, has_server: bool) -> None:
    is_right = value.startswith(sigil) and len(value) > 1 and (":" in value or not has_server)
    if not is_right or len(value.encode()) > _MOST_BYTES:
        raise ArgumentError(f"{name}: must be {what}")


def check_user_id(value: str, name: str = "user_id") -> None:
    """Raises ArgumentError unless it looks like @user:server."""
    _check(value, name, "@", "a user id, as @user:server", has_server=True)


def check_user_ids(values: Iterable[str], name: str) -> None:
    """The same for a list."""
    for index, value in enumerate(values, 1):
        check_user_id(value, f"{name}[{index}]")


def check_room_id(value: str, name: str = "room_id") -> None:
    """Raises ArgumentError unless it looks like a room id; since version 12 it names no server."""
    if value.startswith("#"):
        raise ArgumentError(f"{name}: is an alias; join_room and resolve_room_alias tell the id")
    _check(value, name, "!", "a room id, which begins with !", has_server=False)


def check_room_ids(values: Iterable[str], name: str) -> None:
    """The same for a list."""
    for index, value in enumerate(values, 1):
        check_room_id(value, f"{name}[{index}]")


def check_alias(value: str, name: str = "alias") -> None:
    """Raises ArgumentError unless it looks like #alias:server."""
    _check(value, name, "#", "a room alias, as #alias:server", has_server=True)


def check_room(value: str, name: str = "room_id_or_alias") -> None:
    """Raises ArgumentError unless it looks like a room id or an alias."""
    if value.startswith("#"):
        check_alias(value, name)
    else:
        _check(value, name, "!", "a room id or an alias", has_server=False)


def check_event_id(value: str, name: str = "event_id") -> None:
    """Raises ArgumentError unless it looks like an event id."""
    _check(value, name, "$", "an event id, which begins with $", has_server=False)


def check_mxc(value: str, name: str) -> None:
    """Raises ArgumentError unless it looks like mxc://server/media."""
    server, _, media = value.removeprefix("mxc://").partition("/")
    if not value.startswith("mxc://") or not server or not media:
        raise ArgumentError(f"{name}: must be an mxc URI, as mxc://server/media")


def server_of(identifier: str) -> str | None:
    """The server that an id names, None when it names none."""
    _, colon, server = identifier.partition(":")
    return server if colon and server else None
