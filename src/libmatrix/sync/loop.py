"""The loop of syncs: goes on whatever the network does, and never faster than it should.

It ends by sync_loop_stop, by logout, with its client, and when the homeserver no longer takes the
access token and there is no way to a new one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from libmatrix.backoff import Backoff
from libmatrix.errors import (
    MatrixError,
    NotLoggedInError,
    UnknownTokenError,
    is_defect,
    map_error,
    places,
)
from libmatrix.frames import EVENT
from libmatrix.table_gen import SyncLoopStartArguments, SyncOnceArguments, SyncPhase, SyncState

if TYPE_CHECKING:
    from libmatrix.client import Client
    from libmatrix.sync.syncer import Syncer

# Its key among the tasks of the client, where requests have numbers above 0.
_TASK = -1
# Syncs that come back at once and bring nothing: so many are taken for chance.
_FREE_IDLE = 3
_IDLE_SECONDS = 1.0
_IDLE_SHORTEST_MS, _IDLE_LONGEST_MS = 250, 5_000
_MOVING_MS = 100

_encode = msgspec.json.Encoder().encode


class SyncLoop:
    """One run of the loop, from start to stop."""

    def __init__(self, client: Client, syncer: Syncer, wanted: SyncLoopStartArguments) -> None:
        self._client = client
        self._syncer = syncer
        self._wanted = wanted
        self._backoff = Backoff(wanted.backoff_min_ms, wanted.backoff_max_ms)
        self._idle = Backoff(_IDLE_SHORTEST_MS, _IDLE_LONGEST_MS)
        self._idle_count = 0
        self._state: SyncPhase | None = None
        # The next sync is to come back at once: the first one, and one after a failure.
        self._is_catching_up = True
        self._has_synced = False
        self._why = "the client was closed"
        self._task = client.host.loop.create_task(self._run())
        client.tasks[_TASK] = self._task

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._task.done()

    async def stop(self) -> None:
        """Ends it, also in the middle of a request; returns when it has ended."""
        self.cancel("sync_loop_stop was called")
        await asyncio.wait([self._task])

    def cancel(self, why: str) -> None:
        """Makes it end soon."""
        if self.is_running:
            self._why = why
            self._task.cancel()

    # -- inside -------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            error = await self._until_refused()
            self._tell("stopped", code=error.code, reason="the access token is not valid")
        except asyncio.CancelledError:
            self._tell("stopped", reason=self._why)
        finally:
            # Another one may have been started meanwhile.
            if self._client.tasks.get(_TASK) is asyncio.current_task():
                del self._client.tasks[_TASK]

    async def _until_refused(self) -> MatrixError:
        """Syncs until the homeserver refuses the token for good."""
        while True:
            try:
                pause_ms = await self._step()
            except (UnknownTokenError, NotLoggedInError) as error:
                refusal = _as_refusal(error)
                # The device says it where a renewal was refused, or a request of somebody else.
                is_soft = refusal.soft_logout or self._client.session.device_id is not None
                self._tell(
                    "unauthorized",
                    code=refusal.code,
                    reason=refusal.message,
                    soft_logout=is_soft,
                )
                return refusal
            except Exception as error:
                pause_ms = self._failed(error)
            if pause_ms:
                # By the monotonic clock: a jump of the other one changes nothing.
                await asyncio.sleep(pause_ms / 1000)

    async def _step(self) -> int:
        """One sync; how long to wait before the next one, in ms."""
        client = self._client
        # A short filter is not kept before the first sync, which would come later for it.
        await self._syncer.filters.keep(self._wanted.filter, only_long=not self._has_synced)
        place = None if self._has_synced else await client.host.first_syncs.enter()
        try:
            since = client.state.next_batch
            began = client.host.loop.time()
            result = await self._syncer.once(self._next())
        finally:
            if place is not None:
                place.leave()
        self._backoff.succeeded()
        self._has_synced = True
        self._is_catching_up = False
        if self._state != "syncing":
            self._tell("syncing")
            client.reachable()
        seconds = client.host.loop.time() - began
        rooms = (result.joined_room_ids, result.invited_room_ids, result.left_room_ids)
        return self._rest_ms(seconds, result.next_batch != since, any(rooms))

    def _rest_ms(self, seconds: float, is_moving: bool, has_news: bool) -> int:
        """The pause after a sync: none, unless answers come at once and bring nothing."""
        if seconds >= _IDLE_SECONDS or (is_moving and has_news):
            self._idle_count = 0
            self._idle.succeeded()
            return 0
        self._idle_count += 1
        if self._idle_count <= _FREE_IDLE:
            return 0
        # What moves on may have brought something for a device.
        return _MOVING_MS if is_moving else self._idle.failed()

    def _next(self) -> SyncOnceArguments:
        wanted = self._wanted
        return SyncOnceArguments(
            timeout_ms=0 if self._is_catching_up else wanted.timeout_ms,
            filter=wanted.filter,
            full_state=wanted.full_state and not self._has_synced,
            set_presence=wanted.set_presence,
        )

    def _failed(self, error: Exception) -> int:
        """Says what went wrong; how long to wait now, in ms."""
        client = self._client
        if is_defect(error):
            client.log.record("error", "sync", places(error), "E_INTERNAL")
        failure = map_error(error)
        self._is_catching_up = True
        pause_ms = self._backoff.failed(failure.retry_after_ms)
        client.log.record(
            "warning", "sync", f"next attempt in {pause_ms} ms: {failure.message}", failure.code
        )
        self._tell("reconnecting", delay_ms=pause_ms, code=failure.code, reason=failure.message)
        return pause_ms

    def _tell(
        self,
        state: SyncPhase,
        *,
        delay_ms: int = 0,
        code: str | None = None,
        reason: str | None = None,
        soft_logout: bool = False,
    ) -> None:
        """Gives the state to who asked for it."""
        self._state = state
        client = self._client
        handles = client.subscriptions.of("sync_state")
        if not handles:
            return
        record = SyncState(
            state=state,
            delay_ms=delay_ms,
            attempt=self._backoff.failures if state == "reconnecting" else 0,
            code=code,
            reason=reason,
            soft_logout=soft_logout,
        )
        payload = _encode(record)
        for handle in handles:
            client.host.outbox.add(EVENT, client.context, handle, payload)


def _as_refusal(error: MatrixError) -> UnknownTokenError:
    """Another request may have learnt before us that the token is void."""
    if isinstance(error, UnknownTokenError):
        return error
    return UnknownTokenError("the access token is not valid")
