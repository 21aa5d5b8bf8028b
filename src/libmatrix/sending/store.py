"""The rows of sends. All that is written in one turn of the loop is one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from libmatrix.errors import BROKEN_JSON, StoreError
from libmatrix.sending.item import Draft, Frozen, Item, now_ms
from libmatrix.table_gen import SendUpdate
from libmatrix.tasks import Signal

if TYPE_CHECKING:
    from libmatrix.client import Client

_OWNER = "send_owner"
# Numbers below it may have been taken; as many are at once.
_NUMBERS = "send_numbers"
_MOST_NUMBERS = 1_000
_RETRY_SECONDS = 1.0
# What is over may be written a little later, many at once: lost, it would only be repeated.
_LAZY_SECONDS = 0.05
_MOST_LATE = 16
# Outcomes that nobody asked for are kept so long.
_KEPT_MS = 7 * 24 * 3_600_000

# Who the user and the device of the sends are.
Owner = tuple[str | None, str | None]

_INSERT = "INSERT INTO send (send_id, room_id, draft, tried_ms) VALUES (?, ?, ?, ?)"

_encode = msgspec.json.Encoder().encode
_decode_draft = msgspec.json.Decoder(Draft).decode
_decode_frozen = msgspec.json.Decoder(Frozen).decode
_decode_update = msgspec.json.Decoder(SendUpdate).decode
_decode_owner = msgspec.json.Decoder(Owner).decode


class _Batch:
    """What is written together."""

    def __init__(self) -> None:
        self.waiters: list[Signal] = []
        self.failure: StoreError | None = None


class SendStore:
    """What of the sends is to survive."""

    def __init__(
        self, client: Client, added: Callable[[list[Item], StoreError | None], None]
    ) -> None:
        """`added` is told of the sends that are lasting now, or why they could not be kept."""
        self._client = client
        self._loop = client.host.loop
        self._store = client.state.disk
        self._added = added
        self._is_scheduled = self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._batch = _Batch()
        self._inserts: list[Item] = []
        self._tries: list[tuple[int | None, int]] = []
        self._outcomes: list[tuple[bytes, int, int]] = []
        self._deletes: list[tuple[int]] = []
        self._owner: Owner | None = None
        self._last_id = self._numbers = self._read_last_id()
        # That many numbers may be taken; whether the store is to be told.
        self._has_numbers = False

    # -- reading ------------------------------------------------------------------------------

    @staticmethod
    def is_needed(client: Client) -> bool:
        """Whether an earlier run left something behind."""
        return bool(client.state.disk.rows("SELECT 1 FROM send LIMIT 1"))

    def load(self) -> tuple[list[Item], list[SendUpdate], Owner]:
        """The sends that are not over, outcomes that nobody has heard, and whose they are."""
        with self._store.transaction() as writer:
            writer.many("DELETE FROM send WHERE ended_ms < ?", [(now_ms() - _KEPT_MS,)])
        items, untold = [], []
        query = "SELECT send_id, room_id, draft, tried_ms, frozen, outcome FROM send ORDER BY 1"
        try:
            for send_id, room_id, draft, tried_ms, frozen, outcome in self._store.rows(query):
                if outcome is not None:
                    untold.append(_decode_update(outcome))
                    continue
                item = Item(send_id, room_id, _decode_draft(self._unseal(draft)))
                item.tried_ms = tried_ms
                item.is_unknown = tried_ms is not None
                if item.is_unknown and frozen is not None:
                    item.frozen = _decode_frozen(self._unseal(frozen))
                item.is_restored = True
                items.append(item)
            owner = self._store.meta(_OWNER)
            return items, untold, _decode_owner(owner) if owner else (None, None)
        except BROKEN_JSON as error:
            raise StoreError(f"the store holds what libmatrix did not write: {error}") from None

    def _read_last_id(self) -> int:
        found = self._store.meta(_NUMBERS)
        return int(found) if found else 0

    # -- writing ------------------------------------------------------------------------------

    def new_id(self) -> int:
        """A number that no send of this store had."""
        self._last_id += 1
        if self._last_id > self._numbers:
            self._numbers = self._last_id + _MOST_NUMBERS
            self._has_numbers = True
        return self._last_id

    def insert(self, item: Item) -> None:
        """Keeps a send."""
        self._inserts.append(item)
        self._schedule()

    def tried(self, item: Item) -> None:
        """Keeps when a send was first tried, or that it was not."""
        self._tries.append((item.tried_ms, item.send_id))
        self._schedule()

    def freeze(self, item: Item) -> None:
        """Keeps what goes out for a send together with the ratchet that made it, at once."""
        assert item.frozen is not None
        frozen = self._seal(_encode(item.frozen))
        riders = self._client.state.riders
        with self._store.transaction() as writer:
            for rider in riders:
                rider.write(writer)
            writer.many(
                "UPDATE send SET frozen = ?, tried_ms = ? WHERE send_id = ?",
                [(frozen, item.tried_ms, item.send_id)],
            )
        for rider in riders:
            rider.written()

    def keep_outcome(self, update: SendUpdate) -> None:
        """Keeps what became of a send until the host has heard it."""
        self._outcomes.append((_encode(update), now_ms(), update.send_id))
        self._schedule_late()

    def delete(self, send_id: int) -> None:
        """Forgets a send."""
        self._deletes.append((send_id,))
        self._schedule_late()

    def keep_owner(self, owner: Owner) -> None:
        """Keeps whose the sends are."""
        self._owner = owner
        self._schedule()

    async def written(self) -> None:
        """Returns when all of this turn is lasting; raises `StoreError`."""
        batch, signal = self._batch, Signal()
        batch.waiters.append(signal)
        await signal
        if batch.failure is not None:
            raise batch.failure

    def reset(self) -> None:
        """The store was emptied: what was to be written is void."""
        self._inserts, self._tries, self._outcomes, self._deletes = [], [], [], []
        self._owner = None
        self._numbers, self._has_numbers = 0, False

    def close(self) -> None:
        """Writes what has gathered, for the last time."""
        self.flush()
        self._is_closed = True

    def _flush_urgent(self) -> None:
        """Writes what has gathered; one send alone leaves what is not urgent for later."""
        self._is_scheduled = False
        is_alone = len(self._inserts) == 1 and not self._tries
        is_plain = self._owner is None and not self._has_numbers and not self._is_closed
        if not is_alone or not is_plain or self._late >= _MOST_LATE:
            self.flush()
            return
        inserts, self._inserts = self._inserts, []
        failure = self._try(lambda: self._store.write(_INSERT, self._row(*inserts)))
        if self._late:
            self._schedule_late()
        self._end_batch(inserts, failure)

    def flush(self) -> None:
        """Writes what has gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_closed or not self._is_waiting:
            return
        inserts, self._inserts = self._inserts, []
        failure = self._try(lambda: self._write(inserts))
        if failure is None:
            self._tries, self._outcomes, self._deletes = [], [], []
            self._owner, self._has_numbers = None, False
        elif self._tries or self._late:
            # What was there already has to be brought up to date some time.
            self._timer = self._loop.call_later(_RETRY_SECONDS, self.flush)
        self._end_batch(inserts, failure)

    def _try(self, write: Callable[[], None]) -> StoreError | None:
        try:
            write()
        except StoreError as error:
            return error
        return None

    def _end_batch(self, inserts: list[Item], failure: StoreError | None) -> None:
        batch, self._batch = self._batch, _Batch()
        batch.failure = failure
        if inserts:
            self._added(inserts, failure)
        for waiter in batch.waiters:
            waiter.set()

    def _seal(self, text: bytes) -> bytes:
        vault = self._client.vault
        return vault.seal(text) if vault.has_key else text

    def _unseal(self, data: bytes) -> bytes:
        return data if data[:1] == b"{" else self._client.vault.unseal(data)

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._client.host.after_messages(self._flush_urgent)

    def _schedule_late(self) -> None:
        if not self._is_scheduled and self._timer is None:
            self._timer = self._loop.call_later(_LAZY_SECONDS, self.flush)

    @property
    def _late(self) -> int:
        """How many rows are not urgent."""
        return len(self._outcomes) + len(self._deletes)

    @property
    def _is_waiting(self) -> bool:
        rows = self._inserts or self._tries or self._outcomes or self._deletes
        return bool(rows) or self._owner is not None

    def _row(self, item: Item) -> tuple[int, str, bytes, int | None]:
        return item.send_id, item.room_id, self._seal(_encode(item.draft)), item.tried_ms

    def _write(self, inserts: list[Item]) -> None:
        with self._store.transaction() as writer:
            if self._has_numbers:
                writer.meta(_NUMBERS, str(self._numbers).encode())
            if self._owner is not None:
                writer.meta(_OWNER, _encode(self._owner))
            if inserts:
                writer.many(_INSERT, [self._row(item) for item in inserts])
            if self._tries:
                writer.many("UPDATE send SET tried_ms = ? WHERE send_id = ?", self._tries)
            if self._outcomes:
                writer.many(
                    "UPDATE send SET draft = x'', frozen = NULL, outcome = ?, ended_ms = ?"
                    " WHERE send_id = ?",
                    self._outcomes,
                )
            if self._deletes:
                writer.many("DELETE FROM send WHERE send_id = ?", self._deletes)
