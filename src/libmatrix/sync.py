"""One sync at a time: ask, hand over, wait until it is consumed, commit.

Sync N's changes are committed in one transaction when the host has consumed N's events; only then
is the next one asked for. A crash in between repeats N: nothing is lost.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import msgspec

from libmatrix import frames
from libmatrix.errors import NotLoggedInError, StoreError
from libmatrix.state import Changes
from libmatrix.sync_delivery import Delivery
from libmatrix.sync_response import decode_sync
from libmatrix.table_gen import SyncOnceArguments, SyncOnceResult

if TYPE_CHECKING:
    from libmatrix.client import Client

_PATH = "/_matrix/client/v3/sync"
# Members are sent when they speak, which makes first syncs several times smaller.
_FILTER = '{"room":{"state":{"lazy_load_members":true}}}'
_MOST_WAIT_MS = 24 * 3_600_000


class Syncer:
    """Syncs of one client."""

    # A mark is unique in the process, so that one of a syncer that is gone finds no other.
    _marks = itertools.count(1)

    def __init__(self, client: Client) -> None:
        self._client = client
        self._turn = asyncio.Lock()
        self._mark = 0
        self._changes: Changes | None = None
        self._committed: asyncio.Future[None] | None = None
        # Why the last sync could not be committed; told to the next one.
        self._failure: StoreError | None = None
        self._is_closed = False

    async def once(self, arguments: SyncOnceArguments) -> SyncOnceResult:
        """One sync, from the question to its events in the host's queue."""
        async with self._turn:
            if self._committed is not None:
                await asyncio.shield(self._committed)
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            since = self._client.state.next_batch
            body = await self._ask(arguments, since)
            if self._is_closed:
                raise NotLoggedInError
            response, broken = decode_sync(body)
            del body
            delivery = Delivery(self._client, response, is_historic=since is None)
            for place in broken:
                delivery.report_broken(place)
            if arguments.filter:
                # It may hide state, that of encryption for example.
                delivery.set_partial(True)
            await delivery.run()
            if not arguments.filter and (since is None or arguments.full_state):
                delivery.set_partial(False)
            self._hand_over(delivery)
            delivery.log_summary()
            return delivery.result()

    def consumed(self, mark: int) -> None:
        """The host has consumed all events up to the mark: what it stands for is lasting now."""
        changes, committed = self._changes, self._committed
        if mark != self._mark or changes is None or committed is None:
            return
        self._changes = self._committed = None
        try:
            self._commit(changes)
        except StoreError as error:
            self._client.log.record("error", "store", error.message, error.code)
            self._failure = error
        committed.set_result(None)

    def close(self) -> None:
        """Forgets what was not consumed."""
        self._is_closed = True
        self._changes = None
        if self._committed is not None:
            self._committed.cancel()
            self._committed = None

    async def _ask(self, arguments: SyncOnceArguments, since: str | None) -> bytes:
        wait_ms = min(max(arguments.timeout_ms, 0), _MOST_WAIT_MS)
        query = [("timeout", str(wait_ms)), ("filter", _filter(arguments))]
        if since is not None:
            query.append(("since", since))
        if arguments.full_state:
            query.append(("full_state", "true"))
        if arguments.set_presence != "online":
            query.append(("set_presence", arguments.set_presence))
        return await self._client.api.call("GET", _PATH, query=query, wait_ms=wait_ms)

    def _hand_over(self, delivery: Delivery) -> None:
        """Commits at once when there was nothing to consume, else when the mark comes back."""
        if self._is_closed:
            return
        if not delivery.has_posted:
            self._commit(delivery.changes)
            return
        client = self._client
        self._mark = next(Syncer._marks)
        self._changes = delivery.changes
        self._committed = client.host.loop.create_future()
        client.host.outbox.add(frames.MARK, client.context, client.handle, extra=self._mark)

    def _commit(self, changes: Changes) -> None:
        """A failure leaves the store at the sync before, and so the rooms in memory."""
        state = self._client.state
        try:
            state.commit(changes)
        except StoreError:
            state.reload()
            raise


def _filter(arguments: SyncOnceArguments) -> str:
    """The filter given: the id of one, or JSON; else ours."""
    if not arguments.filter:
        return _FILTER
    text = bytes(arguments.filter)
    return str(msgspec.json.decode(text, type=str)) if text.startswith(b'"') else text.decode()
