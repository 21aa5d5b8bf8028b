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
from libmatrix.errors import (
    AlreadyRunningError,
    EncryptionError,
    HomeserverError,
    MatrixError,
    NotLoggedInError,
    ResponseError,
    is_defect,
    map_error,
    places,
)
from libmatrix.store.state import Changes
from libmatrix.sync.delivery import Delivery
from libmatrix.sync.filters import Filters
from libmatrix.sync.loop import SyncLoop
from libmatrix.sync.response import JoinedRoom, LeftRoom, SyncResponse, decode_sync
from libmatrix.table_gen import (
    LimitedRoom,
    SyncDone,
    SyncLoopStartArguments,
    SyncOnceArguments,
    SyncOnceResult,
    WhoamiArguments,
)

if TYPE_CHECKING:
    from libmatrix.client import Client
    from libmatrix.crypto.machine import Crypto

_PATH = "/_matrix/client/v3/sync"
# What the types of events of a verification begin with, or the msgtype of its first.
_VERIFICATION = b"m.key.verification."
# What an event has in `unsigned` that this device sent.
_TRANSACTION = b'"transaction_id"'
# The second name is that of homeservers from before it was specified.
_STATE_AFTER = (("use_state_after", "true"), ("org.matrix.msc4222.use_state_after", "true"))
_MOST_WAIT_MS = 24 * 3_600_000

_encode = msgspec.json.Encoder().encode


class Syncer:
    """Syncs of one client."""

    # A mark is unique in the process, so that one of a syncer that is gone finds no other.
    marks = itertools.count(1)

    def __init__(self, client: Client) -> None:
        self._client = client
        self._turn = asyncio.Lock()
        self._mark = 0
        self._changes: Changes | None = None
        self._committed: asyncio.Future[None] | None = None
        # Why the last sync could not be committed; told to the next one.
        self._failure: MatrixError | None = None
        self._is_closed = False
        self._has_no_device = False
        self._loop: SyncLoop | None = None
        self.filters = Filters(client)

    async def user_id(self) -> str:
        """Who the user is; asks the homeserver when only the token is known so far."""
        user_id = self._client.require_login().user_id
        if user_id is None:
            from libmatrix.operations.session import whoami

            user_id = (await whoami(self._client, WhoamiArguments())).user_id
        return user_id

    # -- the loop -----------------------------------------------------------------------------

    def start(self, wanted: SyncLoopStartArguments) -> None:
        """Starts the loop."""
        self.require_no_loop()
        self._loop = SyncLoop(self._client, self, wanted)

    async def stop(self) -> bool:
        """Ends the loop; whether there was one."""
        if self._loop is None or not self._loop.is_running:
            return False
        await self._loop.stop()
        return True

    @property
    def is_busy(self) -> bool:
        """Whether a sync is being made, or the loop runs."""
        return self._turn.locked() or self._has_loop

    @property
    def _has_loop(self) -> bool:
        return self._loop is not None and self._loop.is_running

    def require_no_loop(self) -> None:
        """Raises while the loop runs."""
        if self._has_loop:
            raise AlreadyRunningError("the sync loop of this client runs already")

    # -- one sync -----------------------------------------------------------------------------

    async def once(self, arguments: SyncOnceArguments) -> SyncOnceResult:
        """One sync, from the question to its events in the host's queue.

        Raises `NotLoggedInError`.
        """
        async with self._turn:
            await self._settled()
            await self.user_id()
            since = self._client.state.next_batch
            crypto = await self._open_crypto()
            asked = self._client.host.loop.time()
            body = await self._ask(arguments, since)
            if self._is_closed:
                raise NotLoggedInError
            response, broken = decode_sync(body)
            is_tame = not broken and self._client.host.bridge.is_tame(body)
            delivery = Delivery(self._client, response, crypto, since is None, is_tame)
            delivery.has_verifications = crypto is not None and _VERIFICATION in body
            delivery.has_echoes = bool(self._client.doubts) and _TRANSACTION in body
            del body
            for place in broken:
                delivery.report_broken(place)
            try:
                await self._deliver(delivery, arguments, since)
            except BaseException:
                self._abandon()
                raise
            if self._client.doubts:
                self._client.doubts.synced(asked)
            self._announce(delivery, response, since)
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
        except Exception as error:
            self._failure = failure = map_error(error)
            text = places(error) if is_defect(error) else failure.message
            self._client.log.record("error", "store", text, failure.code)
        finally:
            # Whatever went wrong, the next sync waits for this.
            committed.set_result(None)

    def close(self) -> None:
        """Forgets what was not consumed."""
        self._is_closed = True
        if self._loop is not None:
            self._loop.cancel("logged out")
        self._changes = None
        if self._committed is not None:
            self._committed.cancel()
            self._committed = None

    async def _open_crypto(self) -> Crypto | None:
        """Encryption, its keys on their way to the homeserver; None for a client without."""
        client = self._client
        if not client.options.encryption or self._has_no_device:
            return None
        try:
            crypto = await client.open_crypto()
        except (EncryptionError, ResponseError) as error:
            # Asked once: a token of no device will not become one of a device.
            self._has_no_device = True
            client.log.record("info", "encryption", error.message, error.code)
            return None
        crypto.sync_begins()
        return crypto

    async def _settled(self) -> None:
        """Waits until the sync before is committed; raises when it could not be."""
        if self._committed is not None:
            await asyncio.shield(self._committed)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        self._client.state.settle()

    async def _ask(self, arguments: SyncOnceArguments, since: str | None) -> bytes:
        try:
            return await self._request(arguments, since)
        except HomeserverError as error:
            if not self.filters.has_lost(arguments.filter, error):
                raise
        return await self._request(arguments, since)

    async def _request(self, arguments: SyncOnceArguments, since: str | None) -> bytes:
        wait_ms = min(max(arguments.timeout_ms, 0), _MOST_WAIT_MS)
        kept = self.filters.query(arguments.filter)
        query = [("timeout", str(wait_ms)), ("filter", kept), *_STATE_AFTER]
        if since is not None:
            query.append(("since", since))
        if arguments.full_state:
            query.append(("full_state", "true"))
        if arguments.set_presence != "online":
            query.append(("set_presence", arguments.set_presence))
        # The loop has its own pauses, and who calls sync_once may want to know.
        return await self._client.api.call(
            "GET", _PATH, query=query, wait_ms=wait_ms, may_repeat=False
        )

    async def _deliver(
        self, delivery: Delivery, arguments: SyncOnceArguments, since: str | None
    ) -> None:
        if arguments.filter:
            # It may hide state, that of encryption for example.
            delivery.set_partial(True)
        await delivery.run()
        if not arguments.filter and (since is None or arguments.full_state):
            delivery.set_partial(False)

    def _abandon(self) -> None:
        """A sync that was not handed over whole never was; its repetition finds what it found."""
        if not self._is_closed:
            self._client.state.reload()

    def _announce(self, delivery: Delivery, response: SyncResponse, since: str | None) -> None:
        """Tells who asked for it what the sync brought."""
        client = self._client
        handles = client.subscriptions.of("sync")
        if not handles:
            return
        result = delivery.result()
        done = SyncDone(
            next_batch=result.next_batch,
            event_count=result.event_count,
            malformed_count=result.malformed_count,
            joined_room_ids=result.joined_room_ids,
            invited_room_ids=result.invited_room_ids,
            left_room_ids=result.left_room_ids,
            limited_rooms=_limited(response),
            is_initial=since is None,
        )
        payload = _encode(done)
        for handle in handles:
            client.host.outbox.add(frames.EVENT, client.context, handle, payload)
        delivery.has_posted = True

    def _hand_over(self, delivery: Delivery) -> None:
        """Commits at once when there was nothing to consume, else when the mark comes back."""
        if self._is_closed:
            return
        if not delivery.has_posted:
            self._commit(delivery.changes)
            return
        client = self._client
        self._mark = next(Syncer.marks)
        self._changes = delivery.changes
        self._committed = client.host.loop.create_future()
        client.host.outbox.add(frames.MARK, client.context, client.handle, extra=self._mark)

    def _commit(self, changes: Changes) -> None:
        """A failure leaves the store at the sync before, and so the rooms in memory."""
        state = self._client.state
        try:
            state.commit(changes)
        except Exception:
            state.reload()
            raise


def _limited(response: SyncResponse) -> list[LimitedRoom]:
    rooms: list[tuple[str, JoinedRoom | LeftRoom]]
    rooms = [*response.rooms.join.items(), *response.rooms.leave.items()]
    return [
        LimitedRoom(room_id=room_id, prev_batch=room.timeline.prev_batch)
        for room_id, room in rooms
        if room.timeline.limited
    ]
