"""The request that creates a room; options that contradict each other are refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.api import make_path
from libmatrix.errors import ArgumentError
from libmatrix.identifiers import check_mxc, check_room_ids, check_user_ids
from libmatrix.rooms.room import ENCRYPTION, has_creator_power
from libmatrix.table_gen import CreateRoomArguments

if TYPE_CHECKING:
    from libmatrix.client import Client

MEGOLM = "m.megolm.v1.aes-sha2"
SPACE = "m.space"
_CREATE = "m.room.create"
_PLAIN = ("name", "topic", "room_alias_name", "preset", "invite", "room_version")
# The first version that knows the rule.
_RULE_SINCE = {"knock": 7, "restricted": 8, "knock_restricted": 10}
# What goes into m.room.create by an option of its own.
_CREATION = {"type": "room_type", "m.federate": "federate", "room_version": "room_version"}


class _Address(msgspec.Struct):
    id_server: str
    id_access_token: str
    medium: str
    address: str


class _StateEvent(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    content: dict[str, Any]
    state_key: str = ""


class _RoomAnswer(msgspec.Struct):
    room_id: str


async def create(client: Client, arguments: CreateRoomArguments) -> str:
    """Creates a room; returns its id."""
    path = make_path("createRoom")
    body = creation_body(arguments)
    await _check_levels(client, arguments, body)
    room_id = (await client.api.post(_RoomAnswer, path, body)).room_id
    if any(event["type"] == ENCRYPTION for event in body.get("initial_state", ())):
        # A sync may have seen the room before it was whole.
        client.state.keep_encrypted(room_id)
    return room_id


def creation_body(arguments: CreateRoomArguments) -> dict[str, Any]:
    """The body of createRoom."""
    _check(arguments)
    body: dict[str, Any] = {"visibility": arguments.visibility}
    for key in _PLAIN:
        value = getattr(arguments, key)
        if value is not None:
            body[key] = value
    if arguments.is_direct:
        body["is_direct"] = True
    if arguments.invite_3pid:
        body["invite_3pid"] = [_address(raw, i) for i, raw in enumerate(arguments.invite_3pid, 1)]
    if arguments.power_level_content_override:
        body["power_level_content_override"] = _levels(arguments)
    content = _creation_content(arguments)
    if content:
        body["creation_content"] = content
    state = _initial_state(arguments)
    if state:
        body["initial_state"] = state
    return body


def _check(arguments: CreateRoomArguments) -> None:
    alias = arguments.room_alias_name
    if alias is not None and (not alias or ":" in alias or alias.startswith("#")):
        raise ArgumentError("room_alias_name: must be what is between # and :")
    check_user_ids(arguments.invite or (), "invite")
    check_user_ids(arguments.additional_creators or (), "additional_creators")
    if arguments.is_direct and not (arguments.invite or arguments.invite_3pid):
        raise ArgumentError("is_direct: there is no invite that it could mark")
    version = arguments.room_version
    if arguments.additional_creators and version is not None and not has_creator_power(version):
        raise ArgumentError("additional_creators: only from room version 12 on")


def join_rules(join_rule: str, allow: list[str] | None, version: str | None) -> dict[str, Any]:
    """The content of m.room.join_rules; `version` is None where it is not known.

    Raises `ArgumentError`.
    """
    since = _RULE_SINCE.get(join_rule, 0)
    if version is not None and version.isdecimal() and int(version) < since:
        raise ArgumentError(f"join_rule: {join_rule} needs room version {since}")
    if join_rule not in ("restricted", "knock_restricted"):
        if allow is not None:
            raise ArgumentError(f"allow: does not go with join_rule {join_rule}")
        return {"join_rule": join_rule}
    if not allow:
        raise ArgumentError(f"allow: join_rule {join_rule} needs it")
    check_room_ids(allow, "allow")
    rooms = [{"type": "m.room_membership", "room_id": room_id} for room_id in allow]
    return {"join_rule": join_rule, "allow": rooms}


def _address(raw: Raw, index: int) -> dict[str, Any]:
    try:
        return msgspec.structs.asdict(msgspec.json.decode(raw, type=_Address))
    except msgspec.MsgspecError as error:
        raise ArgumentError(f"invite_3pid[{index}]: {error}") from None


def as_map(raw: Raw, name: str) -> dict[str, Any]:
    """A json option that must be a map. Raises `ArgumentError`."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise ArgumentError(f"{name}: must be a map") from None


def _levels(arguments: CreateRoomArguments) -> dict[str, Any]:
    name = "power_level_content_override"
    levels = as_map(arguments.power_level_content_override, name)
    users = levels.get("users")
    for user_id in arguments.additional_creators or ():
        if isinstance(users, dict) and user_id in users:
            raise ArgumentError(f"{name}: {user_id} is in additional_creators and has no level")
    return levels


async def _check_levels(
    client: Client, arguments: CreateRoomArguments, body: dict[str, Any]
) -> None:
    """Raises ArgumentError for a level of the room's creator, who is above all levels."""
    name = "power_level_content_override"
    users = body.get(name, {}).get("users")
    if not isinstance(users, dict) or not has_creator_power(arguments.room_version):
        return
    user_id = await client.syncer.user_id()
    if user_id in users:
        raise ArgumentError(
            f"{name}: {user_id} creates the room and has no level from room version 12 on"
        )


def _creation_content(arguments: CreateRoomArguments) -> dict[str, Any]:
    raw = arguments.creation_content
    content = as_map(raw, "creation_content") if raw else {}
    for key, option in _CREATION.items():
        if key in content:
            raise ArgumentError(f"creation_content: {key} is given by the option {option}")
    if arguments.room_type is not None:
        content["type"] = arguments.room_type
    if not arguments.federate:
        content["m.federate"] = False
    if arguments.additional_creators:
        if "additional_creators" in content:
            raise ArgumentError("creation_content: additional_creators is an option of its own")
        content["additional_creators"] = arguments.additional_creators
    return content


def _initial_state(arguments: CreateRoomArguments) -> list[dict[str, Any]]:
    made = _state_of_options(arguments)
    taken = {kind: option for option, kind, _ in made}
    for option, kind in (("name", "m.room.name"), ("topic", "m.room.topic")):
        if getattr(arguments, option) is not None:
            taken[kind] = option
    if arguments.power_level_content_override:
        taken["m.room.power_levels"] = "power_level_content_override"
    taken[_CREATE] = "creation_content"
    events = [{"type": k, "state_key": "", "content": c} for _, k, c in made]
    for index, raw in enumerate(arguments.initial_state or (), 1):
        try:
            event = msgspec.json.decode(raw, type=_StateEvent)
        except msgspec.MsgspecError as error:
            raise ArgumentError(f"initial_state[{index}]: {error}") from None
        if event.state_key == "" and event.type in taken:
            option = taken[event.type]
            raise ArgumentError(f"initial_state[{index}]: {event.type} is given by {option}")
        events.append(msgspec.structs.asdict(event))
    return events


def _state_of_options(arguments: CreateRoomArguments) -> list[tuple[str, str, dict[str, Any]]]:
    """Option, type and content of what has no place of its own in the request."""
    made: list[tuple[str, str, dict[str, Any]]] = []
    if arguments.encrypted:
        made.append(("encrypted", ENCRYPTION, {"algorithm": MEGOLM}))
    if arguments.avatar_url is not None:
        check_mxc(arguments.avatar_url, "avatar_url")
        made.append(("avatar_url", "m.room.avatar", {"url": arguments.avatar_url}))
    if arguments.join_rule is not None:
        rules = join_rules(arguments.join_rule, arguments.allow, arguments.room_version)
        made.append(("join_rule", "m.room.join_rules", rules))
    elif arguments.allow is not None:
        raise ArgumentError("allow: needs join_rule restricted or knock_restricted")
    for key in ("history_visibility", "guest_access"):
        value = getattr(arguments, key)
        if value is not None:
            made.append((key, f"m.room.{key}", {key: value}))
    return made
