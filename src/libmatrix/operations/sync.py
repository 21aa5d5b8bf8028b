"""Syncing."""

from __future__ import annotations

from libmatrix.client import Client
from libmatrix.sync.filters import upload
from libmatrix.table_gen import (
    SyncLoopStartArguments,
    SyncLoopStartResult,
    SyncLoopStopArguments,
    SyncLoopStopResult,
    SyncOnceArguments,
    SyncOnceResult,
    UploadFilterArguments,
    UploadFilterResult,
)


async def sync_once(client: Client, arguments: SyncOnceArguments) -> SyncOnceResult:
    """One sync; its events are in the host's queue before the result."""
    client.require_login()
    client.syncer.require_no_loop()
    return await client.syncer.once(arguments)


async def sync_loop_start(client: Client, arguments: SyncLoopStartArguments) -> SyncLoopStartResult:
    """Syncs until it is stopped; answers when the loop runs."""
    client.require_login()
    client.syncer.start(arguments)
    return SyncLoopStartResult()


async def sync_loop_stop(client: Client, arguments: SyncLoopStopArguments) -> SyncLoopStopResult:
    """Ends the loop; answers when it has ended."""
    return SyncLoopStopResult(was_running=await client.syncer.stop())


async def upload_filter(client: Client, arguments: UploadFilterArguments) -> UploadFilterResult:
    """Keeps a filter at the homeserver."""
    return UploadFilterResult(filter_id=await upload(client, arguments.filter))
