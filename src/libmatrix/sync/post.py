"""Events on their way to the host's queue: in blocks, in turns, paused while it is full."""

from __future__ import annotations

import asyncio
import functools
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from libmatrix import frames
from libmatrix.errors import NotLoggedInError
from libmatrix.events.head import Brief, EventHead
from libmatrix.events.record import Marks, make_record
from libmatrix.sync.subscriptions import Subscription
from libmatrix.table_gen import Output

if TYPE_CHECKING:
    from libmatrix.client import Client

# Frames are posted in blocks of about this size: enough to be worth a lock, and little enough
# for the host to work on one while the runtime makes the next.
BLOCK_BYTES = 32 * 1024
# Events handled before others get a turn.
TURN = 512

_encode = msgspec.json.Encoder().encode


class Run:
    """Events of one room for subscriptions, as the homeserver sent them."""

    __slots__ = ("_flags", "_room_id", "_user_id", "deliveries", "raws")

    def __init__(self, room_id: str, user_id: str, flags: int) -> None:
        self._room_id = room_id
        self._user_id = user_id
        self._flags = flags
        self.raws: list[Raw] = []
        # A subscription and the place of its event, by turns.
        self.deliveries: list[int] | array[int] = []

    def give(self, wishes: list[Subscription], head: Brief | EventHead, raw: Raw) -> None:
        """Gives an event to those of the subscriptions that want it."""
        place, raws = len(self.raws), self.raws
        for wish in wishes:
            if wish.takes_all or wish.wants(self._room_id, head, raw, self._user_id):
                if len(raws) == place:
                    raws.append(raw)
                self.deliveries.extend((wish.handle, place))

    def give_all(self, handles: tuple[int, ...], raws: list[Raw]) -> None:
        """Gives at most `TURN` events to all of the subscriptions; the run must be empty."""
        if handles:
            self.raws = raws
            self.deliveries = _all_of(handles)[: 2 * len(handles) * len(raws)]

    def frame(self, context: int) -> tuple[int, list[bytes | Raw]]:
        """Its bytes in all, and the parts of its frame."""
        names = self._room_id, self._user_id
        return frames.run(context, self._flags, *names, self.deliveries, self.raws)


@functools.lru_cache(maxsize=64)
def _all_of(handles: tuple[int, ...]) -> array[int]:
    """The deliveries of `TURN` events to the same subscriptions."""
    places = range(TURN)
    return array("Q", [part for place in places for handle in handles for part in (handle, place)])


def pieces(events: list[Raw]) -> Iterator[tuple[int, list[Raw]]]:
    """Events in parts that are handled in one turn each, with the index of their first."""
    if len(events) <= TURN and sum(map(len, events)) <= BLOCK_BYTES:
        if events:
            yield 0, events
        return
    start = size = 0
    for index, raw in enumerate(events):
        if index > start and (index - start == TURN or size + len(raw) > BLOCK_BYTES):
            yield start, events[start:index]
            start, size = index, 0
        size += len(raw)
    yield start, events[start:]


class Post:
    """What one sync gives to the host."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._context = client.context
        self._user = (client.session.user_id, client.session.device_id)
        self._block: list[bytes | Raw] = []
        self._run: Run | None = None
        self._size = 0
        self._until_turn = TURN
        self.has_posted = False

    def add(self, handle: int, payload: bytes) -> None:
        """Queues an event for a subscription."""
        self._end_run()
        block = frames.frame(frames.EVENT, self._context, handle, payload)
        self._block.append(block)
        self._size += len(block)

    def run(self, room_id: str, flags: int) -> Run:
        """Where a room's events are queued, until anything else is."""
        self._end_run()
        self._run = Run(room_id, self._user[0] or "", flags)
        return self._run

    def _end_run(self) -> None:
        run, self._run = self._run, None
        if run is not None and run.deliveries:
            size, parts = run.frame(self._context)
            self._block += parts
            self._size += size

    def give(self, wishes: list[Subscription], payload: Output) -> None:
        """The same payload for many."""
        if wishes:
            data = _encode(payload)
            for wish in wishes:
                self.add(wish.handle, data)

    def give_clear(
        self,
        wishes: list[Subscription],
        room_id: str,
        head: EventHead,
        raw: Raw,
        marks: Marks,
        encryption: Raw | None,
    ) -> None:
        """Gives an event that came encrypted; its head is that of what it says (`unlock`)."""
        user_id = self._user[0] or ""
        for wish in wishes:
            if wish.wants(room_id, head, raw, user_id):
                record = make_record(room_id, head, raw, user_id, wish.kind, marks, encryption)
                self.add(wish.handle, _encode(record))

    async def passed(self, count: int) -> None:
        """So many events were handled: flushes when it is time to."""
        self._end_run()
        self._until_turn -= count
        if self._until_turn <= 0 or self._size >= BLOCK_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Posts what has gathered, gives others a turn, and waits while the queue is full.

        Raises `NotLoggedInError`.
        """
        self._end_run()
        if self._block:
            self.has_posted = True
            is_full = self._client.host.outbox.post_events(self._block)
            self._block.clear()
            self._size = 0
            if is_full:
                await self._client.owner.has_room()
        if self._until_turn <= 0:
            self._until_turn = TURN
            await asyncio.sleep(0)
        session = self._client.session
        user_id, device_id = self._user
        # A new token for the same device changes nothing here, nor who only now knows its device.
        if session.user_id != user_id or device_id not in (None, session.device_id):
            raise NotLoggedInError
