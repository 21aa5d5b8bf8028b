"""The queue of what a client sends: kept before it is tried, tried until it is over.

In order within a room, rooms side by side. docs/sending.md has what is promised.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from libmatrix import frames
from libmatrix.encryption import goes_in_clear, known_to_be_encrypted
from libmatrix.errors import (
    ArgumentError,
    MatrixError,
    NotLoggedInError,
    StoreError,
    UncertainSendError,
)
from libmatrix.identifiers import check_room_id
from libmatrix.rooms.room import ENCRYPTION
from libmatrix.sending.doubts import Doubts
from libmatrix.sending.events import echo, pending, tell, update_of
from libmatrix.sending.item import Draft, Item, check_size, now_ms, place_of
from libmatrix.sending.lane import MOST_MARKED, Lane
from libmatrix.sending.ownership import Ownership
from libmatrix.sending.store import SendStore
from libmatrix.sending.valve import Valve
from libmatrix.table_gen import PendingSend, SendState, SendUpdate
from libmatrix.tasks import Signal

if TYPE_CHECKING:
    from libmatrix.client import Client


class SendQueue:
    """The sends of one client."""

    # Unique in the process and among the marks of syncs, so that one finds nothing else.
    _marks = itertools.count(1 << 40)

    def __init__(self, client: Client) -> None:
        self.client = client
        self.loop = client.host.loop
        self.store = SendStore(client, self._added)
        self.valve = Valve(self.loop)
        self.doubts = client.doubts = Doubts(self)
        self._lanes: dict[str, Lane] = {}
        # How many sends there are that are not kept yet, to rooms without a lane.
        self._early: dict[str, int] = {}
        # Those of which the last attempt has not got as far as the homeserver.
        self.cut_off: set[Lane] = set()
        self._items: dict[int, Item] = {}
        self._places: dict[tuple[str, ...], Item] = {}
        # Outcomes of an earlier run that nobody has heard yet.
        self._untold: list[SendUpdate] = []
        # Outcomes on their way to the host, and by the mark that follows them.
        self._told: list[int] = []
        self._marked: dict[int, list[int]] = {}
        self._is_closed = False
        items, self._untold, owner = self.store.load()
        self.owner = Ownership(self, owner)
        for item in items:
            self._keep(item)
            if item.is_unknown:
                self.doubts.watch(item)

    def resume(self) -> None:
        """Goes on with what an earlier run left; before anything else is sent."""
        # Of those who came while the store was being opened.
        self.subscribed()
        self.session_changed()
        for item in list(self._items.values()):
            self._enqueue(item)

    # -- sending ------------------------------------------------------------------------------

    async def send(self, room_id: str, draft: Draft) -> str:
        """Sends; returns the event id. One that waits already, by its txn_id, is joined."""
        item = self._places.get((room_id, *place_of(draft))) or self._add(room_id, draft)
        try:
            return await self._outcome(item)
        except asyncio.CancelledError:
            if not item.is_over:
                if self._is_closed or item.waiters:
                    raise
                cancelled = MatrixError("the request was cancelled", code="E_CANCELLED")
                if self.give_up(item, cancelled) and item.failure is cancelled:
                    raise
            # It was over just now, or is on its way: what becomes of that is the answer.
            return await self._outcome(item)

    async def _outcome(self, item: Item) -> str:
        if not item.is_over:
            waiter = Signal()
            item.waiters.append(waiter)
            try:
                await waiter
            finally:
                if waiter in item.waiters:
                    item.waiters.remove(waiter)
        if item.failure is not None:
            raise item.failure
        return item.event_id

    def _add(self, room_id: str, draft: Draft) -> Item:
        client = self.client
        session = client.require_login()
        check_room_id(room_id)
        check_size(session.user_id or "", room_id, draft)
        is_clear = draft.kind != "event" or goes_in_clear(draft.type)
        is_encrypted = False if is_clear else known_to_be_encrypted(client, room_id)
        if is_encrypted:
            client.require_encryption()
        item = Item(self.store.new_id(), room_id, draft)
        if self.owner.session is not session:
            self.owner.take(session)
        if self._goes_at_once(room_id, draft) and is_encrypted is False:
            item.tried_ms = draft.queued_ms
        self._keep(item)
        self.store.insert(item)
        return item

    def _goes_at_once(self, room_id: str, draft: Draft) -> bool:
        """Whether it is tried as soon as it is kept, or soon after: both are written at once."""
        before = self._early.get(room_id, 0)
        if room_id in self._lanes or (not before and len(self._early) >= self.valve.places):
            return False
        # What follows is not as sure to go in clear.
        self._early[room_id] = MOST_MARKED if draft.type == ENCRYPTION else before + 1
        return before < MOST_MARKED

    def _keep(self, item: Item) -> None:
        self._items[item.send_id] = item
        self._places[item.place] = item
        limit_ms = self.client.options.send_timeout_ms
        if limit_ms > 0:
            left_ms = item.draft.queued_ms + limit_ms - now_ms()
            late = MatrixError("the time for a send was not enough", code="E_TIMEOUT")
            item.timer = self.loop.call_later(max(left_ms, 0) / 1000, self.give_up, item, late)

    def _added(self, items: list[Item], failure: StoreError | None) -> None:
        """Sends are lasting now, or could not be kept."""
        self._early.clear()
        for item in items:
            if item.send_id not in self._items:
                continue
            if failure is not None:
                self._end(item, None, failure)
                self._answer(item)
                continue
            self.announce(item, "queued")
            echo(self.client, item)
            if not self._is_closed:
                self._enqueue(item)

    def _enqueue(self, item: Item) -> None:
        lane = self._lanes.get(item.room_id)
        if lane is None:
            lane = self._lanes[item.room_id] = Lane(self, item.room_id)
        lane.add(item)

    def lane_ended(self, room_id: str) -> None:
        """Nothing waits in a room any more."""
        self.cut_off.discard(self._lanes.pop(room_id))

    # -- the end of a send --------------------------------------------------------------------

    def give_up(self, item: Item, error: MatrixError) -> bool:
        """Ends a send that waits; one on its way is not tried again. Whether it is over now."""
        if item.is_in_flight and not item.is_over:
            item.ending = error
            return False
        self.finish(item, error=error)
        return True

    def finish(
        self,
        item: Item,
        *,
        event_id: str | None = None,
        error: MatrixError | None = None,
        is_final: bool = False,
    ) -> None:
        """A send is over, once. `is_final`: the error is the homeserver's own, no giving up."""
        if item.is_over:
            return
        self._end(item, event_id, error, is_final=is_final)
        if error is not None:
            # Told to have failed, it must not be sent by the next run.
            self.store.flush()
        self._answer(item)

    def _end(
        self,
        item: Item,
        event_id: str | None,
        error: MatrixError | None,
        *,
        is_final: bool = False,
    ) -> None:
        item.is_over = True
        if error is not None and item.is_unknown and not is_final:
            text = f"the homeserver may have taken it; given up as {error.message}"
            error = UncertainSendError(text)
        item.failure = error
        item.event_id = event_id or ""
        del self._items[item.send_id]
        self._places.pop(item.place, None)
        self.doubts.forget(item)
        if item.timer is not None:
            item.timer.cancel()
        self.step_aside(item)
        self._conclude(item, event_id)

    def _answer(self, item: Item) -> None:
        waiters, item.waiters = item.waiters, []
        for waiter in waiters:
            waiter.set()

    def step_aside(self, item: Item) -> None:
        """It is not tried again: the next one of its room may go."""
        lane = self._lanes.get(item.room_id)
        if lane is not None:
            lane.remove(item)

    def _conclude(self, item: Item, event_id: str | None) -> None:
        """Tells the outcome; it stays in the store until the host has heard it."""
        state: SendState = "sent" if event_id is not None else "failed"
        update = update_of(item, state, event_id=event_id)
        if tell(self.client, update, item.draft.content):
            self._mark(item.send_id)
            self.store.keep_outcome(update)
        elif item.is_restored and not item.waiters:
            self._untold.append(update)
            self.store.keep_outcome(update)
        else:
            self.store.delete(item.send_id)

    def _mark(self, send_id: int) -> None:
        if not self._told:
            self.loop.call_soon(self._post_mark)
        self._told.append(send_id)

    def _post_mark(self) -> None:
        client, told = self.client, self._told
        if self._is_closed or not told:
            return
        mark = next(SendQueue._marks)
        self._marked[mark], self._told = told, []
        client.host.outbox.add(frames.MARK, client.context, client.handle, extra=mark)

    def consumed(self, mark: int) -> None:
        """The host has heard the outcomes before a mark."""
        for send_id in self._marked.pop(mark, ()):
            self.store.delete(send_id)

    def announce(self, item: Item, state: SendState, delay_ms: int | None = None) -> None:
        """Tells who asked for it where a send is."""
        item.state = state
        if self.client.subscriptions.wishes("send"):
            tell(self.client, update_of(item, state, delay_ms=delay_ms), item.draft.content)

    def subscribed(self) -> None:
        """Somebody wants to hear of sends: what an earlier run left untold comes first."""
        untold, self._untold = self._untold, []
        for update in untold:
            if tell(self.client, update):
                self._mark(update.send_id)
            else:
                self._untold.append(update)

    # -- what hosts may do with it ------------------------------------------------------------

    def listed(self, room_id: str | None) -> list[PendingSend]:
        """What is not over, in the order it came."""
        items = self._items.values()
        return [pending(item) for item in items if room_id is None or item.room_id == room_id]

    def cancel(self, send_id: int) -> bool:
        """Drops a send that waits; False when it is on its way."""
        item = self._items.get(send_id)
        if item is None:
            raise ArgumentError(f"send_id: nothing waits to be sent by the number {send_id}")
        return self.give_up(item, MatrixError("the send was cancelled", code="E_CANCELLED"))

    def hurry(self) -> int:
        """Tries at once what waits after a failure; how many rooms there are."""
        return sum(lane.hurry() for lane in self._lanes.values())

    def reachable(self) -> None:
        """The homeserver has answered: who waits because nobody did need not any more."""
        for lane in list(self.cut_off):
            lane.hurry()

    # -- the session --------------------------------------------------------------------------

    def session_changed(self) -> None:
        """There is another token, or none any more."""
        session = self.client.session
        self.valve.set_closed(not session.is_logged_in)
        if session.is_logged_in:
            self.owner.changed(session)
        else:
            self._unmark()

    def slow_down(self, pause_ms: int) -> None:
        """The homeserver wants to be left alone for so long."""
        self.valve.slow_down(pause_ms)
        self._unmark()

    def _unmark(self) -> None:
        for lane in self._lanes.values():
            lane.unmark()

    @property
    def is_single(self) -> bool:
        """Whether there is but one room that something is sent to."""
        return len(self._lanes) == 1

    @property
    def is_waiting(self) -> bool:
        """Whether anything is not over."""
        return bool(self._items)

    def change_devices(self) -> None:
        """The client has become another device."""
        for item in list(self._items.values()):
            if item.is_in_flight:
                # What comes of that is not known yet.
                item.changes_device = True
            else:
                self.change_device(item)

    def change_device(self, item: Item) -> None:
        """Another device goes on with it, or nobody: transaction ids are a device's own."""
        item.changes_device = False
        if item.is_unknown:
            self.give_up(item, MatrixError("it was tried by another device"))
        else:
            self.doubts.forget(item)
            item.frozen = None

    def logged_out(self) -> None:
        """The session is over, and so is what waits; the store was emptied before this."""
        self.store.reset()
        for lane in self._lanes.values():
            lane.cancel()
        self._lanes.clear()
        self.cut_off.clear()
        error = NotLoggedInError()
        error.message = "the client was logged out before it was sent"
        self.end_all(error)
        self._untold, self._told, self._marked = [], [], {}
        self.owner.forget()
        self.valve.set_closed(True)

    def end_all(self, error: MatrixError) -> None:
        """Drops what waits."""
        items = list(self._items.values())
        for item in items:
            item.is_unknown = item.is_unknown or (item.is_in_flight and item.is_out)
            self._end(item, None, error)
        self.store.flush()
        for item in items:
            self._answer(item)

    def close(self) -> list[asyncio.Task[None]]:
        """Stops; what waits stays in the store. Returns the tasks that are ending."""
        self._is_closed = True
        self.valve.close()
        self.doubts.close()
        self._unmark()
        for lane in self._lanes.values():
            lane.cancel()
        tasks = [lane.ending for lane in self._lanes.values() if lane.ending is not None]
        for item in self._items.values():
            if item.timer is not None:
                item.timer.cancel()
        self.store.close()
        return tasks
