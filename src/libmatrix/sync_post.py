"""Events on their way to the host's queue: in blocks, in turns, paused while it is full."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from libmatrix import frames
from libmatrix.errors import NotLoggedInError
from libmatrix.frames import frame
from libmatrix.subscriptions import Subscription
from libmatrix.table_gen import Output

if TYPE_CHECKING:
    from libmatrix.client import Client

# Frames are posted in blocks of about this size, and never more than a quarter more.
_BLOCK_BYTES = 256 * 1024
# Events handled before others get a turn.
_TURN = 512

_encode = msgspec.json.Encoder().encode


class Post:
    """What one sync gives to the host."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._context = client.context
        self._user = (client.session.user_id, client.session.device_id)
        self._block: list[bytes] = []
        self._bytes = 0
        self._until_turn = _TURN
        self.has_posted = False

    def add(self, handle: int, payload: bytes) -> None:
        """Queues an event for a subscription."""
        block = frame(frames.EVENT, self._context, handle, payload)
        self._block.append(block)
        self._bytes += len(block)

    def give(self, wishes: list[Subscription], payload: Output) -> None:
        """The same payload for many."""
        if wishes:
            data = _encode(payload)
            for wish in wishes:
                self.add(wish.handle, data)

    def is_due(self) -> bool:
        """Counts an event; whether it is time to flush."""
        self._until_turn -= 1
        return self._bytes >= _BLOCK_BYTES or self._until_turn <= 0

    async def flush(self) -> None:
        """Posts what has gathered, gives others a turn, and waits while the queue is full."""
        if self._block:
            self.has_posted = True
            is_full = self._client.host.outbox.post_events(self._block)
            self._block.clear()
            self._bytes = 0
            if is_full:
                await self._client.owner.has_room()
        if self._until_turn <= 0:
            self._until_turn = _TURN
            await asyncio.sleep(0)
        session = self._client.session
        # A new token for the same device changes nothing here.
        if (session.user_id, session.device_id) != self._user:
            raise NotLoggedInError
