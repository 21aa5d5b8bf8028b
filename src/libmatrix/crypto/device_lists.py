"""Whose devices changed: as syncs tell, and asked for where syncs have not told all of it.

What is known of devices is as of one sync's token, which is kept with it. It is not the one that a
sync follows when the client ran without encryption meanwhile, for example.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libmatrix.api import decode, make_path
from libmatrix.errors import MatrixError
from libmatrix.sync.response import DeviceLists, SyncResponse
from libmatrix.tasks import time_limit

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto
    from libmatrix.store.state import Changes

_NAME = "device_lists_token"
_SECONDS = 10.0


class DeviceListUpdates:
    """Has users' devices marked outdated."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._values = crypto.store.values

    async def take(self, response: SyncResponse, changes: Changes, *, is_whole: bool) -> None:
        """Takes what a sync says; `is_whole`: it follows no other, or its list is broken."""
        crypto = self._crypto
        since, kept = crypto.client.state.next_batch, self._values.get(_NAME)
        known = kept.decode() if kept is not None else since
        if known is not None and (is_whole or known != since):
            await self._catch_up(known, response.next_batch)
        elif is_whole:
            crypto.devices.invalidate_all()
        crypto.devices.take_changes(response.device_lists.changed, response.device_lists.left)
        token = response.next_batch.encode()
        if kept != token:
            changes.before_commit.append(lambda: self._values.put(_NAME, "", token))

    async def _catch_up(self, known: str, now: str) -> None:
        """Asks what changed between two syncs; if that cannot be known, everything may have."""
        crypto = self._crypto
        query = [("from", known), ("to", now)]
        try:
            async with time_limit(_SECONDS):
                call = crypto.client.api.call("GET", make_path("keys", "changes"), query=query)
                lists = decode(await call, DeviceLists)
        except (MatrixError, TimeoutError) as error:
            code = error.code if isinstance(error, MatrixError) else "E_TIMEOUT"
            text = "what changed of devices is not known: all are asked for"
            crypto.client.log.record("info", "encryption", text, code)
            crypto.devices.invalidate_all()
            return
        crypto.devices.take_changes(lists.changed, lists.left)
