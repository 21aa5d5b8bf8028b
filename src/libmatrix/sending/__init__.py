"""What goes into a room's timeline goes through here: messages, state events, redactions.

Each is kept in the client's store before it is tried, see `sending/queue.py`. The functions return
when the homeserver has taken it, and raise when it never will.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.sending.item import REDACTION, Draft, now_ms

if TYPE_CHECKING:
    from libmatrix.client import Client

_encode = msgspec.json.Encoder().encode
# Of this process alone.
_RUN = os.urandom(12).hex()
_numbers = itertools.count(1)


async def send_event(
    client: Client,
    room_id: str,
    event_type: str,
    content: dict[str, Any],
    *,
    txn_id: str | None = None,
) -> str:
    """Sends an event, encrypted where the room is; returns its event id."""
    draft = Draft("event", event_type, txn_id or make_txn_id(), now_ms(), Raw(_encode(content)))
    return await client.sends.send(room_id, draft)


async def send_state(
    client: Client,
    room_id: str,
    event_type: str,
    state_key: str,
    content: dict[str, Any],
    *,
    is_change: bool = False,
) -> str:
    """Sets a state event, which is never encrypted; returns its event id.

    `is_change`: what the homeserver has when it is its turn stays, but for these keys.
    """
    body, now = Raw(_encode(content)), now_ms()
    draft = Draft("state", event_type, make_txn_id(), now, body, state_key, is_change)
    return await client.sends.send(room_id, draft)


async def redact(
    client: Client,
    room_id: str,
    event_id: str,
    *,
    reason: str | None = None,
    txn_id: str | None = None,
) -> str:
    """Redacts an event; returns the event id of the redaction."""
    body = Raw(_encode({} if reason is None else {"reason": reason}))
    draft = Draft("redaction", REDACTION, txn_id or make_txn_id(), now_ms(), body, event_id)
    return await client.sends.send(room_id, draft)


def make_txn_id() -> str:
    """A transaction id that no other send has."""
    return f"{_RUN}{next(_numbers):x}"
