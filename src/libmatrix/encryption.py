"""Nothing leaves in clear that should not: whether a room is encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libmatrix.api import make_path
from libmatrix.errors import HomeserverError
from libmatrix.rooms import ENCRYPTION

if TYPE_CHECKING:
    from libmatrix.client import Client


async def is_encrypted(client: Client, room_id: str) -> bool:
    """False when the room is certainly not encrypted; raises when that cannot be found out.

    What complete syncs said counts; otherwise the homeserver is asked, each time.
    """
    state = client.state
    room = state.rooms.get(room_id)
    if room is not None and room.is_encrypted:
        return True
    if room is not None and room.membership == "join" and not state.is_partial:
        return False
    try:
        await client.api.call("GET", make_path("rooms", room_id, "state", ENCRYPTION, ""))
    except HomeserverError as error:
        if error.http_status == 404 and error.code == "M_NOT_FOUND":
            return False
        raise
    if room is not None:
        state.keep_encrypted(room)
    return True
