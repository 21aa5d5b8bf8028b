"""Entering rooms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from libmatrix.api import decode, make_path

if TYPE_CHECKING:
    from libmatrix.client import Client


class _RoomAnswer(msgspec.Struct):
    room_id: str


async def enter(
    client: Client, action: str, room: str, via: Sequence[str] | None, reason: str | None
) -> str:
    """Joins or knocks, by id or alias; returns the room id."""
    body = {} if reason is None else {"reason": reason}
    # Before version 1.12 of the specification it was called server_name.
    query = [(name, server) for name in ("via", "server_name") for server in via or ()]
    answer = await client.api.call("POST", make_path(action, room), query=query, body=body)
    return decode(answer, _RoomAnswer).room_id
