"""What hosts hear of sends: `send` events, and local echoes among the room events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from libmatrix import frames
from libmatrix.events.head import EventHead
from libmatrix.events.record import Marks, make_record
from libmatrix.sending.item import Item
from libmatrix.table_gen import PendingSend, SendState, SendUpdate

if TYPE_CHECKING:
    from libmatrix.client import Client

_NEW = Marks(is_historic=False)

_encode = msgspec.json.Encoder().encode


def update_of(
    item: Item, state: SendState, *, event_id: str | None = None, delay_ms: int | None = None
) -> SendUpdate:
    """Where a send is now."""
    return SendUpdate(
        kind="send",
        send_id=item.send_id,
        txn_id=item.draft.txn_id,
        room_id=item.room_id,
        type=item.draft.type,
        state=state,
        event_id=event_id,
        failure=item.failure.record() if item.failure is not None else None,
        delay_ms=delay_ms,
        attempt=item.attempts,
        is_restored=item.is_restored,
    )


def tell(client: Client, update: SendUpdate, content: Raw | None = None) -> bool:
    """Gives an update to who asked for it; whether there was anybody."""
    wishes = client.subscriptions.wishes("send")
    payloads: dict[bool, bytes] = {}
    for wish in wishes:
        if not wish.matches(update.room_id):
            continue
        is_full = wish.with_content and content is not None
        if is_full not in payloads:
            whole = msgspec.structs.replace(update, content=content) if is_full else update
            payloads[is_full] = _encode(whole)
        client.host.outbox.add(frames.EVENT, client.context, wish.handle, payloads[is_full])
    return bool(payloads)


def echo(client: Client, item: Item) -> None:
    """Gives a send as the event it will be to who asked for local echoes."""
    routes, draft = client.subscriptions.echoes, item.draft
    if routes is None:
        return
    head = EventHead(
        type=draft.type,
        content=draft.content,
        sender=client.session.user_id or "",
        # No event has such an id.
        event_id=f"~{draft.txn_id}",
        origin_server_ts=draft.queued_ms,
        state_key=draft.key if draft.kind == "state" else None,
    )
    wishes = routes.of_timeline(head)
    if not wishes:
        return
    raw, head.unsigned = _event_of(item, head)
    for wish in wishes:
        if wish.wants(item.room_id, head, raw, head.sender):
            event = make_record(item.room_id, head, raw, head.sender, wish.kind, _NEW, None)
            event.is_local = True
            payload = _encode(event)
            client.host.outbox.add(frames.EVENT, client.context, wish.handle, payload)


def _event_of(item: Item, head: EventHead) -> tuple[Raw, Raw]:
    """The event as JSON, and its field `unsigned`."""
    unsigned = Raw(_encode({"age": 0, "transaction_id": item.draft.txn_id}))
    event = {
        "type": head.type,
        "content": head.content,
        "sender": head.sender,
        "event_id": head.event_id,
        "origin_server_ts": head.origin_server_ts,
        "room_id": item.room_id,
        "unsigned": unsigned,
    }
    if item.draft.kind == "state":
        event["state_key"] = item.draft.key
    elif item.draft.kind == "redaction":
        event["redacts"] = item.draft.key
    return Raw(_encode(event)), unsigned


def pending(item: Item) -> PendingSend:
    """A send as the operation `sends` lists it."""
    draft = item.draft
    return PendingSend(
        send_id=item.send_id,
        txn_id=draft.txn_id,
        room_id=item.room_id,
        type=draft.type,
        state="sending" if item.is_in_flight else "queued",
        queued_ts=draft.queued_ms,
        attempt=item.attempts,
        is_restored=item.is_restored,
        failure=item.failure.record() if item.failure is not None else None,
        state_key=draft.key if draft.kind == "state" else None,
        redacts=draft.key if draft.kind == "redaction" else None,
        content=draft.content,
    )
