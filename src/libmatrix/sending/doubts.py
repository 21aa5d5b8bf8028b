"""Sends that were tried and are not over: a sync may bring the event, and so the outcome.

The homeserver tells the transaction id of an event to the device that sent it, and to no other:
Client-server API, "Local echo". State events have none.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.errors import BROKEN_JSON, MatrixError, UncertainSendError
from libmatrix.sending.item import Item

if TYPE_CHECKING:
    from libmatrix.sending.queue import SendQueue

# How long a send that cannot be repeated waits for a sync where none is being made.
PATIENCE_SECONDS = 60.0
# An event so much older than a send was made by another one of the same transaction id; more than
# homeservers remember one, and than clocks should differ.
_STALE_MS = 48 * 3_600_000
_TRANSACTION = b'"transaction_id"'

# What makes events those of the same send: room, transaction id, type.
Place = tuple[str, str, str]


class _Unsigned(msgspec.Struct, gc=False):
    transaction_id: str


class _Redacting(msgspec.Struct, gc=False):
    redacts: Any = None


class _Event(msgspec.Struct, gc=False):
    type: str
    sender: str
    event_id: str
    unsigned: _Unsigned
    content: _Redacting
    origin_server_ts: int = 0
    redacts: Any = None
    state_key: Any = None


_decode = msgspec.json.Decoder(_Event).decode


class Doubts:
    """What may have arrived. False when there is nothing."""

    def __init__(self, queue: SendQueue) -> None:
        self._queue = queue
        # With the time of the last attempt, by the clock of the loop.
        self._watched: dict[Place, tuple[Item, float]] = {}
        # A sync that was asked for then has come.
        self._synced = float("-inf")
        # What cannot be tried again waits for a sync, and ends with this where none brings it.
        self._held: dict[Item, UncertainSendError] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __bool__(self) -> bool:
        return bool(self._watched)

    def watch(self, item: Item) -> None:
        """The homeserver may have it."""
        if item.draft.kind != "state":
            self._watched[_place_of(item)] = item, self._queue.loop.time()

    def forget(self, item: Item) -> None:
        """It is over, or another device tries it."""
        place = _place_of(item)
        if self._watched.get(place, (None,))[0] is item:
            del self._watched[place]
        self._held.pop(item, None)

    def hold(self, item: Item, error: UncertainSendError) -> None:
        """Nothing but a sync can tell any more: it ends with the error where none does."""
        if self._tried(item) <= self._synced or self._queue.client.state.next_batch is None:
            # Known already, or it is no client that syncs.
            self._queue.finish(item, error=error, is_final=True)
            return
        self._held[item] = error
        self._queue.step_aside(item)
        if self._timer is None:
            self._timer = self._queue.loop.call_later(PATIENCE_SECONDS, self._look)

    def close(self) -> None:
        """Ends its timer."""
        if self._timer is not None:
            self._timer.cancel()

    # -- syncs --------------------------------------------------------------------------------

    def take(self, room_id: str, raws: list[Raw]) -> None:
        """Events of a room that a sync brought."""
        user_id, is_lasting = self._queue.client.session.user_id, True
        for raw in raws:
            text = bytes(raw)
            if _TRANSACTION not in text:
                continue
            try:
                event = _decode(text)
            except BROKEN_JSON:
                continue
            place = room_id, event.unsigned.transaction_id, event.type
            item, _ = self._watched.get(place, (None, 0))
            if item is not None and event.sender == user_id and _is_it(event, item):
                is_lasting = is_lasting and not item.is_unknown
                self._settle(item, event.event_id)
        if not is_lasting:
            # Before the sync is: no other one will bring these events.
            self._queue.store.flush()

    def synced(self, asked: float) -> None:
        """All of a sync, asked for then, was taken: what it did not bring stays uncertain."""
        self._synced = asked
        self._end_held(asked)

    # -- inside -------------------------------------------------------------------------------

    def _tried(self, item: Item) -> float:
        """When it was tried for the last time, by the clock of the loop."""
        return self._watched.get(_place_of(item), (None, float("-inf")))[1]

    def _end_held(self, until: float = float("inf")) -> None:
        """Of those that were tried until then."""
        for item, error in list(self._held.items()):
            if self._tried(item) <= until:
                self._queue.finish(item, error=error, is_final=True)

    def _settle(self, item: Item, event_id: str) -> None:
        # No attempt begins any more; one on its way comes to its end, and nobody asks how.
        item.ending = MatrixError("a sync has brought it")
        item.failure = None
        self._queue.finish(item, event_id=event_id)

    def _look(self) -> None:
        """Whether it is still worth to wait."""
        self._timer = None
        if not self._held:
            return
        if self._queue.client.syncer.is_busy:
            self._timer = self._queue.loop.call_later(PATIENCE_SECONDS, self._look)
        else:
            self._end_held()


def _place_of(item: Item) -> Place:
    return item.room_id, item.draft.txn_id, item.type


def _is_it(event: _Event, item: Item) -> bool:
    if not event.event_id or event.state_key is not None:
        return False
    if event.origin_server_ts < item.draft.queued_ms - _STALE_MS:
        return False
    # In rooms of newer versions it is in the content.
    redacted = event.content.redacts if event.redacts is None else event.redacts
    return item.draft.kind != "redaction" or redacted == item.draft.key
