"""Against what one does not want to see: reports, and users that are ignored."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from libmatrix.api import decode, make_path
from libmatrix.client import Client
from libmatrix.errors import BROKEN_JSON, ArgumentError, HomeserverError
from libmatrix.table_gen import (
    IgnoredUsersArguments,
    IgnoredUsersResult,
    IgnoreUserArguments,
    IgnoreUserResult,
    ReportEventArguments,
    ReportEventResult,
    ReportRoomArguments,
    ReportRoomResult,
    ReportUserArguments,
    ReportUserResult,
    UnignoreUserArguments,
    UnignoreUserResult,
)

_LIST = "m.ignored_user_list"

# The list is read, changed and written back: one after the other.
_locks: WeakKeyDictionary[Client, asyncio.Lock] = WeakKeyDictionary()


async def report_event(client: Client, arguments: ReportEventArguments) -> ReportEventResult:
    """Reports an event."""
    path = make_path("rooms", arguments.room_id, "report", arguments.event_id)
    await client.api.call("POST", path, body={"reason": arguments.reason})
    return ReportEventResult()


async def report_room(client: Client, arguments: ReportRoomArguments) -> ReportRoomResult:
    """Reports a room."""
    path = make_path("rooms", arguments.room_id, "report")
    await client.api.call("POST", path, body={"reason": arguments.reason})
    return ReportRoomResult()


async def report_user(client: Client, arguments: ReportUserArguments) -> ReportUserResult:
    """Reports a user."""
    path = make_path("users", arguments.user_id, "report")
    await client.api.call("POST", path, body={"reason": arguments.reason})
    return ReportUserResult()


async def ignore_user(client: Client, arguments: IgnoreUserArguments) -> IgnoreUserResult:
    """Adds a user to the list."""
    user_id = arguments.user_id
    if not user_id.startswith("@") or ":" not in user_id:
        raise ArgumentError("user_id: a user id is like @user:server")
    if user_id == await client.syncer.user_id():
        raise ArgumentError("user_id: one cannot ignore oneself")
    async with _lock(client):
        content = await _fetch(client)
        users = _users(content)
        if user_id not in users:
            await _put(client, content, users | {user_id: {}})
    return IgnoreUserResult()


async def unignore_user(client: Client, arguments: UnignoreUserArguments) -> UnignoreUserResult:
    """Takes a user off the list."""
    client.require_login()
    async with _lock(client):
        content = await _fetch(client)
        users = _users(content)
        was_ignored = arguments.user_id in users
        if was_ignored:
            del users[arguments.user_id]
            await _put(client, content, users)
    return UnignoreUserResult(was_ignored=was_ignored)


async def ignored_users(client: Client, arguments: IgnoredUsersArguments) -> IgnoredUsersResult:
    """The list."""
    client.require_login()
    kept = None if arguments.reload else client.state.account_data("", _LIST)
    content = await _fetch(client) if kept is None else _map(kept)
    return IgnoredUsersResult(user_ids=sorted(_users(content)))


def _lock(client: Client) -> asyncio.Lock:
    return _locks.setdefault(client, asyncio.Lock())


async def _fetch(client: Client) -> dict[str, Any]:
    """The list as the homeserver has it now; other devices change it too.

    Raises `ResponseError` for what is none, as it would be lost when it is written back.
    """
    try:
        return decode(await client.api.call("GET", await _path(client)), dict[str, Any])
    except HomeserverError as error:
        if error.code == "M_NOT_FOUND":
            return {}
        raise


async def _put(client: Client, content: dict[str, Any], users: dict[str, Any]) -> None:
    await client.api.call("PUT", await _path(client), body=content | {"ignored_users": users})


async def _path(client: Client) -> str:
    return make_path("user", await client.syncer.user_id(), "account_data", _LIST)


def _map(data: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except BROKEN_JSON:
        return {}


def _users(content: dict[str, Any]) -> dict[str, Any]:
    users = content.get("ignored_users")
    return dict(users) if isinstance(users, dict) else {}
