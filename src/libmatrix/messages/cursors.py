"""Cursors: where a host is in a room's history."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, NamedTuple

from libmatrix.errors import MatrixError
from libmatrix.messages.fetched import malformed
from libmatrix.messages.paging import Page, Query, fetch_context, fetch_page, letter, with_some

if TYPE_CHECKING:
    from libmatrix.client import Client
    from libmatrix.table_gen import Event

_MOST_OPEN = 256
# Pages without an event that one read goes past; a filter may leave many empty.
_MOST_EMPTY = 100
# Events in the first page, and in those that come later.
_FIRST, _LAST = 100, 500
# Around an event, nothing but the event.
_ALONE: Query = [("limit", "0"), ("filter", '{"types":[],"lazy_load_members":true}')]
# None is used again.
_numbers = itertools.count(1)


class Reading(NamedTuple):
    """What one read gives."""

    events: list[Event]
    # Where the next page begins; None at the end.
    next: str | None


class Cursor:
    """Goes through the history of a room. Reads are answered one after the other."""

    def __init__(
        self, client: Client, room_id: str, direction: str, size: int | None, filters: str | None
    ) -> None:
        self._client = client
        self._room_id = room_id
        self._query = with_some([("dir", letter(direction))], filter=filters)
        # Who goes on gets more at a time: a homeserver works for a request more than for an event.
        self._size = size or _FIRST
        self._grows = size is None
        self._is_forward = direction == "forward"
        self._lock = asyncio.Lock()
        # What is given before anything is fetched.
        self._first: list[Event] = []
        self._token: str | None = None
        self._is_at_end = False
        self._has_read = False
        self._ahead: asyncio.Task[Reading] | None = None
        self.is_closed = False

    def begin_at(self, token: str | None) -> None:
        """Begins at a token; without one at an end of the room."""
        self._token = token

    def begin_at_end(self) -> None:
        """Has nothing to give."""
        self._is_at_end = True

    async def begin_with(self, event_id: str) -> None:
        """Begins with an event."""
        found = await fetch_context(self._client, self._room_id, event_id, _ALONE)
        if found.event is None:
            raise malformed()
        self._first = [found.event]
        self._token = found.end if self._is_forward else found.start
        self._is_at_end = self._token is None

    async def read(self) -> Reading:
        """The next page. One that fails, or is cancelled, has not moved the cursor."""
        async with self._lock:
            if self.is_closed:
                raise closed()
            if self._first:
                first, self._first = self._first, []
                return Reading(first, None if self._is_at_end else self._token)
            if self._is_at_end:
                return Reading([], None)
            reading = await self._fetched()
            self._token, self._is_at_end = reading.next, reading.next is None
            # Who has asked twice asks again.
            if self._has_read and not self._is_at_end:
                self._start()
            self._has_read = True
            return reading

    def close(self) -> None:
        """Ends it, and the read in flight."""
        self.is_closed = True
        if self._ahead is not None:
            self._ahead.cancel()

    async def _fetched(self) -> Reading:
        task = self._ahead or self._start()
        try:
            # A read that is cancelled leaves the page to the next one.
            reading = await asyncio.shield(task)
        except asyncio.CancelledError:
            if self.is_closed:
                raise MatrixError("the cursor was closed", code="E_CANCELLED") from None
            raise
        except Exception:
            self._ahead = None
            raise
        self._ahead = None
        return reading

    def _start(self) -> asyncio.Task[Reading]:
        self._ahead = self._client.run_beside(self._fetch(self._token))
        return self._ahead

    async def _fetch(self, token: str | None) -> Reading:
        for _ in range(_MOST_EMPTY):
            query = with_some(self._query, limit=str(self._size), from_=token)
            page: Page = await fetch_page(self._client, self._room_id, query)
            token = page.next
            if self._grows:
                self._size = min(self._size * 2, _LAST)
            if page.events or token is None:
                break
        return Reading(page.events, token)


def add(client: Client, cursor: Cursor) -> int:
    """Keeps a cursor under a number; `E_QUEUE_FULL` when too many are open."""
    if len(client.cursors) >= _MOST_OPEN:
        raise MatrixError(f"{_MOST_OPEN} cursors are open; close some", code="E_QUEUE_FULL")
    number = next(_numbers)
    client.cursors[number] = cursor
    return number


def find(client: Client, number: int) -> Cursor:
    """The cursor with a number."""
    cursor = client.cursors.get(number)
    if cursor is None:
        raise closed()
    return cursor


def remove(client: Client, number: int) -> bool:
    """Closes a cursor; whether there was one."""
    cursor = client.cursors.pop(number, None)
    if cursor is None:
        return False
    cursor.close()
    return True


def closed() -> MatrixError:
    """What a cursor that is not there answers."""
    return MatrixError("cursor: it was closed, or never existed", code="E_INVALID_HANDLE")
