"""Events that were asked for, not synced: here each becomes a record, decrypted where it can be."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.api import decode, make_path
from libmatrix.errors import EncryptionError, MatrixError, NotLoggedInError
from libmatrix.events import MalformedEventError
from libmatrix.room_events import Marks, make_event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from libmatrix.client import Client
    from libmatrix.events import EventHead
    from libmatrix.room_events import Decrypted
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


def malformed() -> MatrixError:
    """For when the one event that was asked for is malformed."""
    return MatrixError("the event is malformed; the log says how", code="E_MALFORMED_EVENT")


def make_records(client: Client, room_id: str, events: Iterable[Raw], user_id: str) -> list[Event]:
    """Records of events; those that a sync would leave out are left out, and logged."""
    records = []
    decrypt = client.decrypt or partial(_decrypt, client)
    for index, raw in enumerate(events):
        try:
            record = make_event(room_id, bytes(raw), user_id, KIND, marks=_MARKS, decrypt=decrypt)
        except MalformedEventError as error:
            text = f"{room_id}: event {index} of an answer was left out: {error}"
            client.log.record("warning", "history", text, "E_MALFORMED_EVENT")
            continue
        records.append(record)
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
    except (msgspec.MsgspecError, RecursionError):
        return None
