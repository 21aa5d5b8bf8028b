"""The record `event` of one event's JSON text."""

from __future__ import annotations

from msgspec import Raw

from libmatrix.events.head import read_timeline_event
from libmatrix.events.record import Decrypt, Marks, make_record, unlock
from libmatrix.table_gen import Event

_LIVE = Marks(is_historic=False)


def make_event(
    room_id: str,
    raw: bytes,
    user_id: str,
    kind: str,
    *,
    marks: Marks = _LIVE,
    decrypt: Decrypt | None = None,
) -> Event:
    """As a sync makes it; raises `MalformedEventError` for what a sync would leave out.

    `user_id` is the client's own, `kind` what the record says it came by.
    """
    head, encryption = unlock(decrypt, room_id, read_timeline_event(raw), Raw(raw))
    return make_record(room_id, head, Raw(raw), user_id, kind, marks, encryption)
