"""State of rooms, permissions and account data."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from libmatrix.api import make_path
from libmatrix.client import Client
from libmatrix.errors import BROKEN_JSON, ArgumentError
from libmatrix.events.head import read_event
from libmatrix.rooms.creation import as_map
from libmatrix.rooms.permissions import DEFAULTS, Permissions, read_permissions
from libmatrix.rooms.room import ENCRYPTION, MEMBER
from libmatrix.rooms.state_events import (
    checked,
    content_of,
    fetch_content,
    fetch_events,
    find_content,
    is_known,
)
from libmatrix.sending import send_state
from libmatrix.table_gen import (
    AccountDataArguments,
    AccountDataResult,
    MayArguments,
    MayResult,
    PowerLevelsArguments,
    PowerLevelsResult,
    SendStateEventArguments,
    SendStateEventResult,
    SetAccountDataArguments,
    SetAccountDataResult,
    StateEventArguments,
    StateEventResult,
    StateEventsArguments,
    StateEventsResult,
)

_CREATE = "m.room.create"
_encode = msgspec.json.Encoder().encode


async def state_event(client: Client, arguments: StateEventArguments) -> StateEventResult:
    """One state event, kept or fetched."""
    room_id, kind, key = arguments.room_id, arguments.type, arguments.state_key
    event = None if arguments.reload else client.state.event(room_id, kind, key)
    if event is not None:
        return StateEventResult(content=content_of(event), event=Raw(event))
    return StateEventResult(content=await fetch_content(client, room_id, kind, key))


async def state_events(client: Client, arguments: StateEventsArguments) -> StateEventsResult:
    """State events of a room, kept or fetched."""
    room_id, wanted = arguments.room_id, arguments.type
    if not arguments.reload and is_known(client, room_id):
        found = sorted(client.state.events(room_id, wanted).items())
        return StateEventsResult(state=[Raw(data) for _, data in found])
    sorted_events = []
    for raw in await fetch_events(client, room_id):
        head = read_event(bytes(raw))
        if wanted is None or head.type == wanted:
            sorted_events.append((head.type, head.state_key or "", bytes(raw)))
    return StateEventsResult(state=[Raw(data) for _, _, data in sorted(sorted_events)])


async def send_state_event(
    client: Client, arguments: SendStateEventArguments
) -> SendStateEventResult:
    """Sends a state event."""
    room_id, kind = arguments.room_id, arguments.type
    if not kind:
        raise ArgumentError("type: must not be empty")
    if kind == _CREATE:
        raise ArgumentError("type: what made the room cannot be changed")
    content = as_map(arguments.content, "content")
    event_id = await send_state(client, room_id, kind, arguments.state_key, content)
    if kind == ENCRYPTION and not arguments.state_key:
        client.state.keep_encrypted(room_id)
    return SendStateEventResult(event_id=event_id)


async def power_levels(client: Client, arguments: PowerLevelsArguments) -> PowerLevelsResult:
    """The levels of a room, complete."""
    client.require_login()
    rules = await read_permissions(client, arguments.room_id)
    return PowerLevelsResult(
        users=Raw(_encode(rules.users)),
        events=Raw(_encode(rules.events)),
        notify_room=rules.notify_room,
        creators=rules.creators,
        own_level=rules.level(await client.syncer.user_id()),
        **{name: getattr(rules, name) for name in DEFAULTS},
    )


class _Membership(msgspec.Struct):
    membership: str = "leave"


async def may(client: Client, arguments: MayArguments) -> MayResult:
    """Whether a user may act or send."""
    if (arguments.action is None) == (arguments.event_type is None):
        raise ArgumentError("action: either this or event_type must be given")
    own_id = await client.syncer.user_id()
    user_id = arguments.user_id or own_id
    rules = await read_permissions(client, arguments.room_id)
    if arguments.action is not None:
        needed = rules.to_do(arguments.action, is_own=arguments.target == user_id)
    else:
        assert arguments.event_type is not None
        needed = rules.to_send(arguments.event_type, is_state=arguments.is_state)
    level = rules.level(user_id)
    allowed = (level is None or level >= needed) and _reaches(rules, arguments, user_id)
    if allowed:
        allowed = await _is_joined(client, arguments.room_id, user_id, is_own=user_id == own_id)
    return MayResult(allowed=allowed, required_level=needed, level=level)


def _reaches(rules: Permissions, arguments: MayArguments, user_id: str) -> bool:
    """Only who stands below can be kicked or banned, and nobody gives what they do not have."""
    if arguments.event_type == "m.room.power_levels" and arguments.content:
        from libmatrix.rooms.level_changes import may_set_levels

        return may_set_levels(rules, user_id, msgspec.json.decode(arguments.content))
    if arguments.target is None or arguments.action not in ("kick", "ban", "unban"):
        return True
    return rules.is_above(user_id, arguments.target)


async def _is_joined(client: Client, room_id: str, user_id: str, *, is_own: bool) -> bool:
    room = client.state.rooms.get(room_id)
    if is_own and room is not None:
        return room.membership == "join"
    content = None
    if room_id in client.state.loaded_members or client.state.event(room_id, MEMBER, user_id):
        content = await find_content(client, room_id, MEMBER, user_id)
    else:
        # Members are told when they speak, so that this one is not known says nothing.
        content = await _fetch_member(client, room_id, user_id)
    return content is not None and _membership(content) == "join"


async def _fetch_member(client: Client, room_id: str, user_id: str) -> Raw | None:
    from libmatrix.errors import HomeserverError

    try:
        return await fetch_content(client, room_id, MEMBER, user_id)
    except HomeserverError as error:
        if error.http_status == 404 and error.code == "M_NOT_FOUND":
            return None
        raise


def _membership(content: Raw) -> str:
    try:
        return msgspec.json.decode(content, type=_Membership).membership
    except BROKEN_JSON:
        return "leave"


async def account_data(client: Client, arguments: AccountDataArguments) -> AccountDataResult:
    """Account data, kept or fetched."""
    room_id = arguments.room_id or ""
    kept = None if arguments.reload else client.state.account_data(room_id, arguments.type)
    if kept is not None:
        return AccountDataResult(content=Raw(kept))
    path = await _account_path(client, room_id, arguments.type)
    return AccountDataResult(content=checked(await client.api.call("GET", path)))


async def set_account_data(
    client: Client, arguments: SetAccountDataArguments
) -> SetAccountDataResult:
    """Sets account data at the homeserver."""
    if not bytes(arguments.content).lstrip().startswith(b"{"):
        raise ArgumentError("content: must be a map")
    path = await _account_path(client, arguments.room_id or "", arguments.type)
    await client.api.call("PUT", path, body=arguments.content)
    return SetAccountDataResult()


async def _account_path(client: Client, room_id: str, kind: str) -> str:
    user_id = await client.syncer.user_id()
    room = ("rooms", room_id) if room_id else ()
    return make_path("user", user_id, *room, "account_data", kind)
