"""The sends of one room, one after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.api import decode
from libmatrix.backoff import Backoff, jitter
from libmatrix.encryption import (
    goes_in_clear,
    is_encrypted,
    known_to_be_encrypted,
    turned_out_encrypted,
)
from libmatrix.errors import (
    HomeserverError,
    InternalError,
    MatrixError,
    NotLoggedInError,
    StoreError,
    TransportError,
    UncertainSendError,
    map_error,
    places,
)
from libmatrix.rooms.room import ENCRYPTION
from libmatrix.rooms.state_events import fetch_map
from libmatrix.sending.item import Frozen, Item, check_encrypted_size, now_ms
from libmatrix.sending.outcome import Verdict, judge
from libmatrix.tasks import Runner, time_limit

if TYPE_CHECKING:
    from libmatrix.sending.queue import SendQueue

_SHORTEST_MS, _LONGEST_MS = 200, 30_000
# When a homeserver asks to slow down and does not say for how long.
_LIMITED_MS = 1_000
# After so many answers of 500 to one send it is tried whether the one behind it fares better.
_MOST_FAULTS = 5

# So many sends in a row are kept as tried in one write: of those behind the first it is taken back
# where the room has to wait, and stays so only when the process is killed before it is their turn.
MOST_MARKED = 16

_encode = msgspec.json.Encoder().encode


class _EventAnswer(msgspec.Struct):
    event_id: str


class Lane:
    """A room that something is sent to."""

    def __init__(self, queue: SendQueue, room_id: str) -> None:
        self._queue = queue
        self._room_id = room_id
        self._items: deque[Item] = deque()
        self._backoff = Backoff(_SHORTEST_MS, _LONGEST_MS)
        self._resting: asyncio.Future[None] | None = None
        # How often in a row the homeserver has failed at the first send.
        self._faults = 0
        self._runner: Runner | None = None
        self._is_starting = self._is_cancelled = self._is_deferred = False

    def add(self, item: Item) -> None:
        """Sends it after those that are there."""
        self._items.append(item)
        if not self._is_deferred:
            self._go_on()

    def remove(self, item: Item) -> None:
        """It is over."""
        if self._items and self._items[0] is item:
            self._items.popleft()
            self._faults = 0
            self.hurry()
        elif item in self._items:
            self._items.remove(item)

    def hurry(self) -> bool:
        """Ends its rest; whether there was one."""
        if self._resting is None or self._resting.done():
            return False
        self._resting.set_result(None)
        return True

    def cancel(self) -> None:
        """Stops it, also in the middle of a request."""
        self._is_cancelled = True
        if self._runner is not None:
            self._runner.cancel()

    @property
    def ending(self) -> asyncio.Task[None] | None:
        """The task that is over when it has stopped."""
        return None if self._runner is None else self._runner.as_task()

    # -- inside -------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Begins with the next send, unless one is being tried."""
        while self._runner is None and self._items and not self._is_cancelled:
            # Each by itself: one that had to become a task does not make the next one a task.
            self._runner = Runner(self._queue.loop, self._run(), self._ended)
            self._is_starting = True
            self._runner.start()
            self._is_starting = False
        if self._runner is None and not self._is_cancelled:
            self._queue.lane_ended(self._room_id)

    def _ended(self, _: None, error: BaseException | None) -> None:
        self._runner = None
        if error is not None and not isinstance(error, asyncio.CancelledError):
            self._queue.client.log.record("error", "send", places(error), InternalError.CODE)
            if self._items:
                # Or it would be tried for ever.
                self._queue.finish(self._items[0], error=map_error(error))
        if self._is_starting:
            return
        if self._queue.is_single:
            self._go_on()
        else:
            self._is_deferred = True
            self._queue.loop.call_soon(self._go_on_later)

    def _go_on_later(self) -> None:
        """In the next turn: rooms that were answered together send together, in fewer wake-ups."""
        self._is_deferred = False
        self._go_on()

    async def _run(self) -> None:
        valve = self._queue.valve
        await valve.enter()
        try:
            # What was there may have been cancelled meanwhile.
            pause_ms = await self._step(self._items[0]) if self._items else 0
            if self._faults >= _MOST_FAULTS and await self._pass():
                pause_ms = 0
        finally:
            valve.leave()
        if pause_ms and self._items:
            await self._rest(pause_ms / 1000)

    async def _rest(self, seconds: float) -> None:
        self._resting = self._queue.loop.create_future()
        try:
            async with time_limit(seconds):
                await self._resting
        except TimeoutError:
            pass
        finally:
            self._resting = None

    async def _step(self, item: Item) -> int:
        """Tries one send; how long to wait now, in ms."""
        queue = self._queue
        if item.is_forgotten:
            text = "tried too long ago to know whether the homeserver took it"
            queue.doubts.hold(item, UncertainSendError(text))
            return 0
        item.attempts += 1
        item.is_in_flight = True
        try:
            event_id = await self._attempt(item)
        except MatrixError as error:
            item.is_in_flight = False
            return self._failed(item, error)
        except Exception as error:
            item.is_in_flight = False
            queue.client.log.record("error", "send", places(error), InternalError.CODE)
            queue.finish(item, error=map_error(error))
            return 0
        item.is_in_flight = False
        self._backoff.succeeded()
        queue.cut_off.discard(self)
        queue.valve.succeeded()
        queue.reachable()
        if item.draft.kind == "state" and item.draft.type == ENCRYPTION:
            # Before a sync says so.
            try:
                turned_out_encrypted(queue.client, self._room_id)
            except StoreError as error:
                # It was taken, whatever the store does.
                queue.client.log.record("error", "store", error.message, error.code)
        queue.finish(item, event_id=event_id)
        return 0

    async def _attempt(self, item: Item) -> str:
        queue = self._queue
        item.is_out = False
        if item.is_unknown and queue.owner.is_unsure:
            await queue.owner.identify()
        if item.frozen is None:
            if item.draft.kind == "event":
                await self._prepare(item)
            elif item.draft.is_change:
                await self._merge(item)
        if item.tried_ms is None:
            self._mark(item)
            await queue.store.written()
        if item.ending is not None:
            # Given up, or settled by a sync, while it was got ready.
            raise item.ending
        if item.changes_device:
            # It was got ready for the one before.
            raise NotLoggedInError
        queue.announce(item, "sending")
        item.is_out = True
        queue.doubts.watch(item)
        answer = await queue.client.api.call("PUT", item.path, body=item.body, may_repeat=False)
        return decode(answer, _EventAnswer).event_id

    def _mark(self, item: Item) -> None:
        """Keeps that it is tried, and those behind it, which then need no write of their own."""
        store, now = self._queue.store, now_ms()
        item.tried_ms = now
        store.tried(item)
        if item.attempts > 1 or item.draft.type == ENCRYPTION:
            # It is not sure yet that they follow soon, or go in clear.
            return
        is_clear = known_to_be_encrypted(self._queue.client, self._room_id) is False
        for each in islice(self._items, MOST_MARKED):
            if each.draft.kind == "event" and not is_clear and not goes_in_clear(each.draft.type):
                break
            if each.tried_ms is None:
                each.tried_ms = now
                store.tried(each)
            if each.draft.type == ENCRYPTION:
                break

    def unmark(self) -> None:
        """Takes it back for those that were not tried: it will take a while."""
        for each in islice(self._items, MOST_MARKED):
            if each.tried_ms is not None and not each.attempts and not each.is_unknown:
                each.tried_ms = None
                self._queue.store.tried(each)

    async def _prepare(self, item: Item) -> None:
        """Makes sure that it may go out as it is, or encrypts it."""
        client = self._queue.client
        if goes_in_clear(item.draft.type):
            return
        if item.is_unknown:
            # Frozen in clear, and it may never have left: repeated only where that is still right.
            try:
                is_now = await is_encrypted(client, self._room_id)
            except HomeserverError as error:
                if error.http_status not in (403, 404):
                    raise
                is_now = True
            if is_now:
                raise UncertainSendError("tried in clear, and the room may be encrypted now")
        elif await is_encrypted(client, self._room_id):
            await self._encrypt(item)

    async def _encrypt(self, item: Item) -> None:
        """Makes what goes out, once; the ratchet that made it is kept together with it."""
        client, draft = self._queue.client, item.draft
        crypto = await client.open_crypto()
        plain = decode(draft.content, dict[str, Any])
        kind, content = await crypto.encrypt_event(self._room_id, draft.type, plain)
        item.frozen = Frozen(kind, Raw(_encode(content)))
        item.tried_ms = now_ms()
        try:
            check_encrypted_size(crypto.user_id, self._room_id, draft, item.frozen)
            self._queue.store.freeze(item)
        except MatrixError:
            item.frozen = item.tried_ms = None
            raise

    async def _merge(self, item: Item) -> None:
        """Makes what goes out for a change of what the room has."""
        draft = item.draft
        content = await fetch_map(self._queue.client, self._room_id, draft.type)
        change = decode(draft.content, dict[str, Any])
        if draft.type == ENCRYPTION and content:
            # Which one it is may be chosen once.
            change.pop("algorithm", None)
        item.frozen = Frozen(draft.type, Raw(_encode(content | change)))

    # -- failures -----------------------------------------------------------------------------

    def _failed(self, item: Item, error: MatrixError) -> int:
        if item.is_over:
            return 0
        if isinstance(error, UncertainSendError) and item.ending is None:
            self._queue.doubts.hold(item, error)
            return 0
        verdict = judge(error)
        if self._items and item is self._items[0]:
            self._faults = self._faults + 1 if error.http_status == 500 else 0
        if isinstance(error, TransportError) and not error.sent:
            self._queue.cut_off.add(self)
        else:
            self._queue.cut_off.discard(self)
        item.is_unknown = item.is_unknown or (item.is_out and verdict.may_be_sent)
        if verdict.what == "permanent":
            self._queue.finish(item, error=error, is_final=error is not item.ending)
            return 0
        item.failure = error
        if item.tried_ms is not None and not item.is_unknown:
            # That it was tried does not count.
            item.tried_ms = None
            self._queue.store.tried(item)
        if item.ending is not None:
            self._queue.finish(item, error=item.ending)
            return 0
        if item.changes_device:
            self._queue.change_device(item)
        return 0 if item.is_over else self._wait(item, verdict, error)

    def _wait(self, item: Item, verdict: Verdict, error: MatrixError) -> int:
        """Until when the next attempt has to wait; how long this room has to, in ms."""
        queue = self._queue
        self.unmark()
        pause_ms = 0
        if verdict.what == "limited":
            delay_ms = error.retry_after_ms or _LIMITED_MS
            # Not all clients that were sent away come back at once.
            delay_ms += round(jitter() * delay_ms / 10)
            queue.slow_down(delay_ms)
        elif verdict.what == "unauthorized" and queue.valve.is_closed:
            # Goes on with the next token, whenever that is.
            delay_ms = 0
        else:
            delay_ms = pause_ms = self._backoff.failed(error.retry_after_ms)
        text = f"attempt {item.attempts} came to nothing: {error.message}"
        queue.client.log.record("debug", "send", text, error.code)
        queue.announce(item, "queued", delay_ms or None)
        return pause_ms

    async def _pass(self) -> bool:
        """Ends the first send when the homeserver takes the one behind it; whether it goes on.

        Otherwise what a homeserver should refuse, and fails at, would hold its room for ever.
        """
        if len(self._items) < 2 or self._items[0].draft.type == ENCRYPTION:
            return False
        first, second = self._items[0], self._items[1]
        await self._step(second)
        is_taken = second.is_over and second.failure is None
        if is_taken and not first.is_over:
            # Unless it was well again at this very moment.
            await self._step(first)
            if not first.is_over and first.failure and first.failure.http_status == 500:
                text = "the homeserver fails at it, and took what was behind it"
                self._queue.doubts.hold(first, UncertainSendError(text))
        return is_taken or first.is_over
