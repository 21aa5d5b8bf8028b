"""Events on their way to the host's queue: in blocks, in turns, paused while it is full."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from libmatrix import frames
from libmatrix.errors import NotLoggedInError
from libmatrix.frames import NUL, frame, pack_head
from libmatrix.subscriptions import Subscription
from libmatrix.table_gen import Output

if TYPE_CHECKING:
    from libmatrix.client import Client

# Frames are posted in blocks of about this size, and never more than a quarter more.
BLOCK_BYTES = 256 * 1024
# Events handled before others get a turn.
TURN = 512

_encode = msgspec.json.Encoder().encode


class Post:
    """What one sync gives to the host."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._context = client.context
        self._user = (client.session.user_id, client.session.device_id)
        self._block: list[bytes] = []
        self.size = 0
        self._until_turn = TURN
        self.has_posted = False

    def add(self, handle: int, payload: bytes) -> None:
        """Queues an event for a subscription."""
        block = frame(frames.EVENT, self._context, handle, payload)
        self._block.append(block)
        self.size += len(block)

    def add_event(self, handle: int, prefix: bytes, payload: bytes) -> None:
        """The same with a payload in two parts, which are not copied."""
        size = len(prefix) + len(payload)
        self._block += (pack_head(size, frames.EVENT, 0, self._context, handle, 0), prefix, payload)
        self._block.append(NUL)
        self.size += size

    def give(self, wishes: list[Subscription], payload: Output) -> None:
        """The same payload for many."""
        if wishes:
            data = _encode(payload)
            for wish in wishes:
                self.add(wish.handle, data)

    async def passed(self, count: int) -> None:
        """So many events were handled: flushes when it is time to."""
        self._until_turn -= count
        if self._until_turn <= 0 or self.size >= BLOCK_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Posts what has gathered, gives others a turn, and waits while the queue is full."""
        if self._block:
            self.has_posted = True
            is_full = self._client.host.outbox.post_events(self._block)
            self._block.clear()
            self.size = 0
            if is_full:
                await self._client.owner.has_room()
        if self._until_turn <= 0:
            self._until_turn = TURN
            await asyncio.sleep(0)
        session = self._client.session
        # A new token for the same device changes nothing here.
        if (session.user_id, session.device_id) != self._user:
            raise NotLoggedInError
