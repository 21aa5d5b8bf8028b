"""Sending replies, and into threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libmatrix.identifiers import check_event_id
from libmatrix.messages.content import Content, relate
from libmatrix.messages.thread_ends import thread_ends
from libmatrix.sending import send_event

if TYPE_CHECKING:
    from libmatrix.client import Client


async def send_related(
    client: Client,
    room_id: str,
    event_type: str,
    content: Content,
    *,
    thread_id: str | None,
    reply_to: str | None,
    txn_id: str | None,
) -> str:
    """Sends an event, into a thread, as a reply, or both; returns its event id.

    Raises `ArgumentError`.
    """
    if reply_to is not None:
        check_event_id(reply_to, "reply_to")
    if thread_id is None:
        relate(content, None, reply_to)
        return await send_event(client, room_id, event_type, content, txn_id=txn_id)
    check_event_id(thread_id, "thread_id")
    ends = thread_ends(client)
    relate(content, thread_id, reply_to, ends.newest(room_id, thread_id))
    event_id = await send_event(client, room_id, event_type, content, txn_id=txn_id)
    ends.add(room_id, thread_id, event_id)
    return event_id
