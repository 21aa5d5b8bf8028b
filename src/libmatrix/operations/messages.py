"""Sending messages."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from libmatrix.api import make_path
from libmatrix.client import Client
from libmatrix.encryption import require_clear
from libmatrix.table_gen import SendTextArguments, SendTextResult


class _EventAnswer(msgspec.Struct):
    event_id: str


async def send_text(client: Client, arguments: SendTextArguments) -> SendTextResult:
    """Sends a text message, unless the room is encrypted."""
    client.require_login()
    await require_clear(client, arguments.room_id)
    txn_id = arguments.txn_id or os.urandom(16).hex()
    path = make_path("rooms", arguments.room_id, "send", "m.room.message", txn_id)
    answer = await client.api.put(_EventAnswer, path, _content(arguments))
    return SendTextResult(event_id=answer.event_id)


def _content(arguments: SendTextArguments) -> dict[str, Any]:
    content: dict[str, Any] = {"msgtype": "m.text", "body": arguments.body, "m.mentions": {}}
    if arguments.html is not None:
        content["format"] = "org.matrix.custom.html"
        content["formatted_body"] = arguments.html
    if arguments.thread_id is not None:
        # Clients without threads show it as a reply to the root.
        content["m.relates_to"] = {
            "rel_type": "m.thread",
            "event_id": arguments.thread_id,
            "is_falling_back": True,
            "m.in_reply_to": {"event_id": arguments.thread_id},
        }
    return content
