"""How many sends of a client may be on their way: none without a token or while told to wait."""

from __future__ import annotations

import asyncio
from collections import deque

# Rooms that are sent to at once.
MOST_IN_FLIGHT = 32


class Valve:
    """Lets rooms send, in the order they came.

    Homeservers limit what a user sends, in all rooms together; so a 429 stops all rooms of a
    client. Afterwards one goes first, and each success lets twice as many follow.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._busy = 0
        self._window = MOST_IN_FLIGHT
        # For as long as there is no token.
        self.is_closed = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def places(self) -> int:
        """How many may send at once."""
        return 0 if self.is_closed or self._timer is not None else self._window - self._busy

    @property
    def is_open(self) -> bool:
        """Whether the next one may send at once."""
        return self.places > 0

    async def enter(self) -> None:
        """Waits for one's turn; `leave` has to follow."""
        if self._waiting or not self.is_open:
            turn: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.leave()
                else:
                    self._waiting.remove(turn)
                raise
            return
        self._busy += 1

    def leave(self) -> None:
        """Lets the next one in."""
        self._busy -= 1
        self._admit()

    def set_closed(self, is_closed: bool) -> None:
        """Closes or opens it."""
        self.is_closed = is_closed
        self._admit()

    def slow_down(self, pause_ms: int) -> None:
        """The homeserver wants to be left alone for so long."""
        self._window = 1
        until = self._loop.time() + pause_ms / 1000
        if self._timer is not None:
            if self._timer.when() >= until:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(until, self._rested)

    def succeeded(self) -> None:
        """The homeserver took one."""
        self._window = min(self._window * 2, MOST_IN_FLIGHT)

    def close(self) -> None:
        """Ends its timer."""
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _rested(self) -> None:
        self._timer = None
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.is_open:
            turn = self._waiting.popleft()
            if not turn.done():
                # Counted here, so that nobody else takes the place before it runs.
                self._busy += 1
                turn.set_result(None)
