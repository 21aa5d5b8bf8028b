"""What others, and other devices, are told about reading and typing."""

from __future__ import annotations

import msgspec

from libmatrix.api import make_path
from libmatrix.client import Client
from libmatrix.errors import BROKEN_JSON, ArgumentError, HomeserverError
from libmatrix.messages import typing_notices
from libmatrix.rooms.state_events import checked
from libmatrix.table_gen import (
    FullyReadArguments,
    FullyReadResult,
    SendReceiptArguments,
    SendReceiptResult,
    SetReadMarkersArguments,
    SetReadMarkersResult,
    SetTypingArguments,
    SetTypingResult,
)

_SHORTEST_MS, _LONGEST_MS = 1_000, 120_000
_FULLY_READ = "m.fully_read"


class _Marker(msgspec.Struct):
    event_id: str | None = None


async def set_typing(client: Client, arguments: SetTypingArguments) -> SetTypingResult:
    """Starts or ends saying that the user types."""
    client.require_login()
    if not _SHORTEST_MS <= arguments.timeout_ms <= _LONGEST_MS:
        raise ArgumentError(f"timeout_ms: must be {_SHORTEST_MS} to {_LONGEST_MS}")
    if arguments.is_typing:
        await typing_notices.start(client, arguments.room_id, arguments.timeout_ms)
    else:
        await typing_notices.stop(client, arguments.room_id)
    return SetTypingResult()


async def send_receipt(client: Client, arguments: SendReceiptArguments) -> SendReceiptResult:
    """Says how far the user has read."""
    kind = "m.read.private" if arguments.is_private else "m.read"
    path = make_path("rooms", arguments.room_id, "receipt", kind, arguments.event_id)
    body = {} if arguments.thread_id is None else {"thread_id": arguments.thread_id}
    await client.api.call("POST", path, body=body)
    return SendReceiptResult()


async def set_read_markers(
    client: Client, arguments: SetReadMarkersArguments
) -> SetReadMarkersResult:
    """Moves the markers of a room."""
    markers = {
        _FULLY_READ: arguments.fully_read,
        "m.read": arguments.read,
        "m.read.private": arguments.read_private,
    }
    body = {name: event_id for name, event_id in markers.items() if event_id is not None}
    if not body:
        raise ArgumentError("fully_read: this, read or read_private must be given")
    await client.api.call("POST", make_path("rooms", arguments.room_id, "read_markers"), body=body)
    return SetReadMarkersResult()


async def fully_read(client: Client, arguments: FullyReadArguments) -> FullyReadResult:
    """The marker of a room."""
    room_id = arguments.room_id
    kept = None if arguments.reload else client.state.account_data(room_id, _FULLY_READ)
    if kept is None:
        kept = await _fetch_marker(client, room_id)
    try:
        return FullyReadResult(event_id=msgspec.json.decode(kept, type=_Marker).event_id)
    except BROKEN_JSON:
        return FullyReadResult()


async def _fetch_marker(client: Client, room_id: str) -> bytes:
    user_id = await client.syncer.user_id()
    path = make_path("user", user_id, "rooms", room_id, "account_data", _FULLY_READ)
    try:
        return bytes(checked(await client.api.call("GET", path)))
    except HomeserverError as error:
        if error.code == "M_NOT_FOUND":
            return b"{}"
        raise
