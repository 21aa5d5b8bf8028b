"""What a room is called and looks like, who may do what in it, and what is pinned."""

from __future__ import annotations

from typing import Any

import msgspec

from libmatrix.client import Client
from libmatrix.errors import ArgumentError
from libmatrix.identifiers import check_alias, check_event_id, check_mxc, check_user_id
from libmatrix.rooms import power_levels
from libmatrix.rooms.creation import MEGOLM, as_map, join_rules
from libmatrix.rooms.room import ENCRYPTION
from libmatrix.rooms.state_events import fetch_map, find_content
from libmatrix.sending import send_state
from libmatrix.table_gen import (
    CanonicalAliasArguments,
    CanonicalAliasResult,
    EnableEncryptionArguments,
    EnableEncryptionResult,
    PinEventArguments,
    PinEventResult,
    PinnedEventsArguments,
    PinnedEventsResult,
    SetCanonicalAliasArguments,
    SetCanonicalAliasResult,
    SetGuestAccessArguments,
    SetGuestAccessResult,
    SetHistoryVisibilityArguments,
    SetHistoryVisibilityResult,
    SetJoinRuleArguments,
    SetJoinRuleResult,
    SetPowerLevelArguments,
    SetPowerLevelResult,
    SetPowerLevelsArguments,
    SetPowerLevelsResult,
    SetRoomAvatarArguments,
    SetRoomAvatarResult,
    SetRoomNameArguments,
    SetRoomNameResult,
    SetRoomTopicArguments,
    SetRoomTopicResult,
    UnpinEventArguments,
    UnpinEventResult,
)

_ALIAS = "m.room.canonical_alias"
_PINNED = "m.room.pinned_events"
_POWER = "m.room.power_levels"


async def set_room_name(client: Client, arguments: SetRoomNameArguments) -> SetRoomNameResult:
    """Names a room."""
    content = {"name": arguments.name}
    event_id = await send_state(client, arguments.room_id, "m.room.name", "", content)
    return SetRoomNameResult(event_id=event_id)


async def set_room_topic(client: Client, arguments: SetRoomTopicArguments) -> SetRoomTopicResult:
    """Sets a room's topic, in both forms that clients read."""
    content = topic_content(arguments.topic, arguments.html)
    event_id = await send_state(client, arguments.room_id, "m.room.topic", "", content)
    return SetRoomTopicResult(event_id=event_id)


async def set_room_avatar(client: Client, arguments: SetRoomAvatarArguments) -> SetRoomAvatarResult:
    """Sets a room's picture."""
    content: dict[str, Any] = {}
    if arguments.url:
        check_mxc(arguments.url, "url")
        content["url"] = arguments.url
        if arguments.info:
            content["info"] = as_map(arguments.info, "info")
    elif arguments.info:
        raise ArgumentError("info: there is no url that it could be about")
    event_id = await send_state(client, arguments.room_id, "m.room.avatar", "", content)
    return SetRoomAvatarResult(event_id=event_id)


# -- aliases ------------------------------------------------------------------------------------


async def canonical_alias(
    client: Client, arguments: CanonicalAliasArguments
) -> CanonicalAliasResult:
    """A room's published aliases."""
    content = await _read(client, arguments.room_id, _ALIAS, reload=arguments.reload)
    alias = content.get("alias")
    return CanonicalAliasResult(
        alias=alias if isinstance(alias, str) and alias else None,
        alt_aliases=_texts(content.get("alt_aliases")),
    )


async def set_canonical_alias(
    client: Client, arguments: SetCanonicalAliasArguments
) -> SetCanonicalAliasResult:
    """Sets a room's published aliases."""
    room_id, alias, others = arguments.room_id, arguments.alias, arguments.alt_aliases
    if alias is None and others is None:
        raise ArgumentError("alias: this or alt_aliases must be given")
    if alias:
        check_alias(alias)
    for index, other in enumerate(others or (), 1):
        check_alias(other, f"alt_aliases[{index}]")
    async with client.lock(room_id + _ALIAS):
        content = await fetch_map(client, room_id, _ALIAS)
        if alias is not None:
            _put(content, "alias", alias)
        if others is not None:
            _put(content, "alt_aliases", others)
        event_id = await send_state(client, room_id, _ALIAS, "", content)
    return SetCanonicalAliasResult(event_id=event_id)


# -- who may do what ----------------------------------------------------------------------------


async def set_join_rule(client: Client, arguments: SetJoinRuleArguments) -> SetJoinRuleResult:
    """Says who may join."""
    room = client.state.rooms.get(arguments.room_id)
    version = room.version if room is not None else None
    content = join_rules(arguments.join_rule, arguments.allow, version)
    event_id = await send_state(client, arguments.room_id, "m.room.join_rules", "", content)
    return SetJoinRuleResult(event_id=event_id)


async def set_history_visibility(
    client: Client, arguments: SetHistoryVisibilityArguments
) -> SetHistoryVisibilityResult:
    """Says who may read what was before."""
    content = {"history_visibility": arguments.history_visibility}
    kind = "m.room.history_visibility"
    event_id = await send_state(client, arguments.room_id, kind, "", content)
    return SetHistoryVisibilityResult(event_id=event_id)


async def set_guest_access(
    client: Client, arguments: SetGuestAccessArguments
) -> SetGuestAccessResult:
    """Says whether guests may join."""
    content = {"guest_access": arguments.guest_access}
    event_id = await send_state(client, arguments.room_id, "m.room.guest_access", "", content)
    return SetGuestAccessResult(event_id=event_id)


async def enable_encryption(
    client: Client, arguments: EnableEncryptionArguments
) -> EnableEncryptionResult:
    """Turns encryption on; what is sent to the room from this call on waits for it."""
    content: dict[str, Any] = {"algorithm": MEGOLM}
    for key in ("rotation_period_ms", "rotation_period_msgs"):
        value = getattr(arguments, key)
        if value is not None:
            if value < 1:
                raise ArgumentError(f"{key}: must be above 0")
            content[key] = value
    # Asked first for what the room has, it would be overtaken by what is sent meanwhile, in clear.
    event_id = await send_state(client, arguments.room_id, ENCRYPTION, "", content, is_change=True)
    return EnableEncryptionResult(event_id=event_id)


async def set_power_levels(
    client: Client, arguments: SetPowerLevelsArguments
) -> SetPowerLevelsResult:
    """Changes levels, and leaves the others."""
    changes = power_levels.changes(arguments)
    async with client.lock(arguments.room_id + _POWER):
        content = await power_levels.changed(client, arguments.room_id, changes)
        event_id = await send_state(client, arguments.room_id, _POWER, "", content)
    return SetPowerLevelsResult(event_id=event_id)


async def set_power_level(client: Client, arguments: SetPowerLevelArguments) -> SetPowerLevelResult:
    """Sets the level of one user."""
    room_id, user_id = arguments.room_id, arguments.user_id
    check_user_id(user_id)
    power_levels.check_level(arguments.level, "level")
    async with client.lock(room_id + _POWER):
        content = await power_levels.with_user(client, room_id, user_id, arguments.level)
        if content is None:
            return SetPowerLevelResult()
        event_id = await send_state(client, room_id, _POWER, "", content)
    return SetPowerLevelResult(event_id=event_id)


# -- pinned events ------------------------------------------------------------------------------


async def pinned_events(client: Client, arguments: PinnedEventsArguments) -> PinnedEventsResult:
    """The pinned events."""
    content = await _read(client, arguments.room_id, _PINNED, reload=arguments.reload)
    return PinnedEventsResult(event_ids=_texts(content.get("pinned")))


async def pin_event(client: Client, arguments: PinEventArguments) -> PinEventResult:
    """Pins an event."""
    event_id = arguments.event_id
    check_event_id(event_id)
    return PinEventResult(
        event_ids=await _change_pinned(client, arguments.room_id, event_id, is_pinned=True)
    )


async def unpin_event(client: Client, arguments: UnpinEventArguments) -> UnpinEventResult:
    """Takes an event out of the pinned ones."""
    event_id = arguments.event_id
    return UnpinEventResult(
        event_ids=await _change_pinned(client, arguments.room_id, event_id, is_pinned=False)
    )


async def _change_pinned(
    client: Client, room_id: str, event_id: str, *, is_pinned: bool
) -> list[str]:
    async with client.lock(room_id + _PINNED):
        content = await fetch_map(client, room_id, _PINNED)
        pinned = _texts(content.get("pinned"))
        if (event_id in pinned) == is_pinned:
            return pinned
        pinned = [each for each in pinned if each != event_id] + [event_id] * is_pinned
        await send_state(client, room_id, _PINNED, "", content | {"pinned": pinned})
    return pinned


# -- inside -------------------------------------------------------------------------------------


def topic_content(topic: str, html: str | None) -> dict[str, Any]:
    """The content of m.room.topic: the text, and its forms with the best one first."""
    if not topic:
        if html:
            raise ArgumentError("html: needs a topic in plain text too")
        return {"topic": ""}
    forms = [{"body": topic, "mimetype": "text/plain"}]
    if html is not None:
        forms.insert(0, {"body": html, "mimetype": "text/html"})
    return {"topic": topic, "m.topic": {"m.text": forms}}


async def _read(client: Client, room_id: str, kind: str, *, reload: bool) -> dict[str, Any]:
    """A content that is kept, else what the homeserver says."""
    if reload:
        return await fetch_map(client, room_id, kind)
    client.require_login()
    raw = await find_content(client, room_id, kind, "")
    return msgspec.json.decode(raw, type=dict[str, Any]) if raw is not None else {}


def _put(content: dict[str, Any], key: str, value: Any) -> None:
    if value:
        content[key] = value
    else:
        content.pop(key, None)


def _texts(value: object) -> list[str]:
    """The strings of a list, each once."""
    texts = value if isinstance(value, list) else []
    return list(dict.fromkeys(text for text in texts if isinstance(text, str)))
