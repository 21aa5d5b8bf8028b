"""Nothing leaves in clear that should not: whether a room is encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libmatrix.api import make_path
from libmatrix.errors import HomeserverError
from libmatrix.rooms.room import ENCRYPTION

if TYPE_CHECKING:
    from libmatrix.client import Client

# What no client encrypts: the homeserver has to count reactions.
_ALWAYS_CLEAR = frozenset({"m.reaction"})


def goes_in_clear(event_type: str) -> bool:
    """Whether events of a type are not encrypted in any room."""
    return event_type in _ALWAYS_CLEAR


def known_to_be_encrypted(client: Client, room_id: str) -> bool | None:
    """What complete syncs said of a room; None when this client's said nothing yet."""
    state = client.state
    if state.is_encrypted(room_id):
        return True
    room = state.rooms.get(room_id)
    is_joined = room is not None and room.membership == "join"
    # What the store has is from when the client ended.
    return False if is_joined and state.is_current and not state.is_partial else None


async def is_encrypted(client: Client, room_id: str) -> bool:
    """Whether a room is encrypted; what no sync told is asked of the homeserver, each time."""
    known = known_to_be_encrypted(client, room_id)
    if known is not None:
        return known
    path = make_path("rooms", room_id, "state", ENCRYPTION, "")
    try:
        await client.api.call("GET", path, may_repeat=False)
    except HomeserverError as error:
        if error.http_status == 404 and error.code == "M_NOT_FOUND":
            return False
        raise
    turned_out_encrypted(client, room_id)
    return True


def turned_out_encrypted(client: Client, room_id: str) -> None:
    """Keeps that a room is encrypted before a sync says so."""
    room = client.state.rooms.get(room_id)
    if room is None or not room.is_encrypted:
        client.state.keep_encrypted(room_id)
