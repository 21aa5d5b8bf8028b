"""Sending messages."""

from __future__ import annotations

from typing import Any

from libmatrix.client import Client
from libmatrix.sending import send_event
from libmatrix.subscriptions import MESSAGE
from libmatrix.table_gen import SendTextArguments, SendTextResult


async def send_text(client: Client, arguments: SendTextArguments) -> SendTextResult:
    """Sends a text message, unless the room is encrypted."""
    event_id = await send_event(
        client, arguments.room_id, MESSAGE, _content(arguments), txn_id=arguments.txn_id
    )
    return SendTextResult(event_id=event_id)


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
