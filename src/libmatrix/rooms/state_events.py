"""State events for operations: what the syncs kept where that is all, else the homeserver's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.api import make_path
from libmatrix.errors import BROKEN_JSON, HomeserverError, ResponseError
from libmatrix.events.head import EventHead, MalformedEventError, read_content, read_event

if TYPE_CHECKING:
    from libmatrix.client import Client


def content_of(event: bytes) -> Raw:
    """The content of an event that was checked when it came."""
    return read_event(event).content


def is_known(client: Client, room_id: str) -> bool:
    """Whether the syncs told the whole state of a room, members apart."""
    state = client.state
    room = state.rooms.get(room_id)
    return room is not None and not room.is_stripped and not state.is_partial


async def find_content(client: Client, room_id: str, kind: str, state_key: str) -> Raw | None:
    """The content of a state event, None when the room has none."""
    event = client.state.event(room_id, kind, state_key)
    if event is not None:
        return content_of(event)
    if is_known(client, room_id):
        return None
    try:
        return await fetch_content(client, room_id, kind, state_key)
    except HomeserverError as error:
        if is_missing(error):
            return None
        raise


async def fetch_content(client: Client, room_id: str, kind: str, state_key: str) -> Raw:
    """The content the homeserver has."""
    path = make_path("rooms", room_id, "state", kind, state_key)
    return checked(await client.api.call("GET", path))


async def fetch_event(client: Client, room_id: str, kind: str, state_key: str) -> tuple[Raw, str]:
    """The content the homeserver has, and who sent it: empty where an old one does not tell."""
    path = make_path("rooms", room_id, "state", kind, state_key)
    body = await client.api.call("GET", path, query=[("format", "event")])
    try:
        head = read_event(body)
    except MalformedEventError:
        return checked(body), ""
    return (head.content, head.sender) if head.type == kind else (checked(body), "")


async def fetch_map(client: Client, room_id: str, kind: str) -> dict[str, Any]:
    """The content the homeserver has, to be changed and sent again; empty when there is none."""
    try:
        raw = await fetch_content(client, room_id, kind, "")
    except HomeserverError as error:
        if is_missing(error):
            return {}
        raise
    return msgspec.json.decode(raw, type=dict[str, Any])


def is_missing(error: HomeserverError) -> bool:
    """Whether the homeserver says that there is no such thing."""
    return error.http_status == 404 and error.code == "M_NOT_FOUND"


def checked(body: bytes) -> Raw:
    """A map from the homeserver, within the limits that events have. Raises `ResponseError`."""
    try:
        return read_content(body)
    except MalformedEventError as error:
        raise ResponseError(f"the homeserver's answer: {error}") from None


async def find_events(
    client: Client, room_id: str, kind: str, *, reload: bool = False
) -> list[EventHead]:
    """The state events of a type, kept or fetched. Raises `NotLoggedInError`."""
    client.require_login()
    if not reload and is_known(client, room_id):
        return [read_event(data) for data in client.state.events(room_id, kind).values()]
    heads = [read_event(bytes(raw)) for raw in await fetch_events(client, room_id)]
    return [head for head in heads if head.type == kind and head.state_key is not None]


async def fetch_events(client: Client, room_id: str) -> list[Raw]:
    """All state the homeserver has; malformed events are left out and logged.

    Raises `ResponseError`.
    """
    body = await client.api.call("GET", make_path("rooms", room_id, "state"), is_list=True)
    try:
        events = msgspec.json.decode(body, type=list[Raw])
    except BROKEN_JSON:
        raise ResponseError("the homeserver's answer is no list of events") from None
    sound = []
    for index, raw in enumerate(events):
        try:
            read_event(bytes(raw))
        except MalformedEventError as error:
            text = f"{room_id}: state event {index} was left out: {error}"
            client.log.record("warning", "state", text, "E_MALFORMED_EVENT")
            continue
        sound.append(raw)
    return sound
