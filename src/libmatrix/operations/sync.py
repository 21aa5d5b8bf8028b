"""Syncing."""

from __future__ import annotations

from libmatrix.client import Client
from libmatrix.operations import session
from libmatrix.table_gen import SyncOnceArguments, SyncOnceResult, WhoamiArguments
from libmatrix.tasks import in_task


async def sync_once(client: Client, arguments: SyncOnceArguments) -> SyncOnceResult:
    """One sync; its events are in the host's queue before the result."""
    client.require_login()
    await in_task()
    if client.session.user_id is None:
        # Known by its token only, so far.
        await session.whoami(client, WhoamiArguments())
    return await client.syncer.once(arguments)
