"""Events that were asked for, not synced: here each becomes a record, decrypted where it can be."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.api import decode, make_path
from libmatrix.errors import BROKEN_JSON, EncryptionError, MatrixError, NotLoggedInError
from libmatrix.events.head import MalformedEventError, read_state
from libmatrix.events.record import Marks, make_record, unlock

if TYPE_CHECKING:
    from libmatrix.client import Client
    from libmatrix.events.head import EventHead
    from libmatrix.events.record import Decrypted
    from libmatrix.table_gen import Event

# What a record says it came by.
KIND = "history"
_MARKS = Marks(is_historic=True)


class _Relations(msgspec.Struct):
    relations: dict[str, Raw] = msgspec.field(default_factory=dict, name="m.relations")


class _Bundle(msgspec.Struct):
    unsigned: _Relations = msgspec.field(default_factory=_Relations)


async def fetch_event(client: Client, room_id: str, event_id: str) -> Event:
    """One event of a room, as a record."""
    raw = await client.api.call("GET", make_path("rooms", room_id, "event", event_id))
    found = make_records(client, room_id, [decode(raw, Raw)], await client.syncer.user_id())
    if not found:
        raise malformed()
    return found[0]


async def fetch_original(client: Client, room_id: str, event_id: str) -> Event:
    """The same; of an edit, the message that it replaces."""
    event = await fetch_event(client, room_id, event_id)
    if event.replaces is not None:
        event = await fetch_event(client, room_id, event.replaces)
    return event


def malformed() -> MatrixError:
    """For when the one event that was asked for is malformed."""
    return MatrixError("the event is malformed; the log says how", code="E_MALFORMED_EVENT")


def make_records(
    client: Client, room_id: str, events: list[Raw], user_id: str, *, is_tame: bool = False
) -> list[Event]:
    """Records of events; those that a sync would leave out are left out, and logged.

    `is_tame` is what `Bridge.is_tame` said of the answer that they were in.
    """
    records = []
    decrypt = client.decrypt
    # By the rule of the sync. What is from before the room was encrypted is no exception: that it
    # is so old is what the homeserver says.
    is_clear = decrypt is None or not client.state.is_encrypted(room_id)
    decrypt = decrypt or partial(_decrypt, client)
    for index, head in enumerate(read_state(events, is_tame)):
        problem: object = "it has no event_id or no sender"
        if isinstance(head, MalformedEventError):
            problem = head
        elif head.event_id and head.sender:
            raw = events[index]
            head, encryption = unlock(decrypt, room_id, head, raw, is_clear=is_clear)
            record = make_record(room_id, head, raw, user_id, KIND, _MARKS, encryption)
            records.append(record)
            continue
        text = f"{room_id}: event {index} of an answer was left out: {problem}"
        client.log.record("warning", "history", text, "E_MALFORMED_EVENT")
    return records


def _decrypt(client: Client, room_id: str, head: EventHead, raw: Raw) -> Decrypted | None:
    """Decrypts the first encrypted event that the client sees, when it can."""
    try:
        return client.crypto.decryptor.open(room_id, head, raw)
    except (EncryptionError, NotLoggedInError):
        return None


def content_of(event: Event) -> dict[str, Any]:
    """A record's content as a map; it has been checked to be one."""
    return msgspec.json.decode(event.content, type=dict[str, Any])


def bundled(event: Event, relation: str) -> Raw | None:
    """What the homeserver tells beside an event about those that relate to it."""
    try:
        return msgspec.json.decode(event.raw, type=_Bundle).unsigned.relations.get(relation)
    except BROKEN_JSON:
        return None
