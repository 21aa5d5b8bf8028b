"""What goes into a room's timeline goes through here: messages, state events, redactions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from libmatrix.api import make_path
from libmatrix.encryption import is_encrypted

if TYPE_CHECKING:
    from libmatrix.client import Client


class _EventAnswer(msgspec.Struct):
    event_id: str


async def send_event(
    client: Client,
    room_id: str,
    event_type: str,
    content: dict[str, Any],
    *,
    txn_id: str | None = None,
) -> str:
    """Sends an event, encrypted where the room is; returns its event id."""
    client.require_login()
    if await is_encrypted(client, room_id):
        crypto = await client.open_crypto()
        event_type, content = await crypto.encrypt_event(room_id, event_type, content)
    path = make_path("rooms", room_id, "send", event_type, txn_id or make_txn_id())
    return (await client.api.put(_EventAnswer, path, content)).event_id


async def send_state(
    client: Client, room_id: str, event_type: str, state_key: str, content: dict[str, Any]
) -> str:
    """Sets a state event, which is never encrypted; returns its event id."""
    path = make_path("rooms", room_id, "state", event_type, state_key)
    return (await client.api.put(_EventAnswer, path, content)).event_id


async def redact(
    client: Client,
    room_id: str,
    event_id: str,
    *,
    reason: str | None = None,
    txn_id: str | None = None,
) -> str:
    """Redacts an event; returns the event id of the redaction."""
    path = make_path("rooms", room_id, "redact", event_id, txn_id or make_txn_id())
    body = {} if reason is None else {"reason": reason}
    return (await client.api.put(_EventAnswer, path, body)).event_id


def make_txn_id() -> str:
    """A transaction id that no other send has."""
    return os.urandom(16).hex()
