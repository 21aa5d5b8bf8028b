"""Sends what verifications have to say: in order, and again while the network is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from libmatrix.api import make_path
from libmatrix.crypto.verification.contents import Message
from libmatrix.crypto.verification.flow import Verification
from libmatrix.errors import HomeserverError, MatrixError

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

# Between tries while the network is away.
RETRY_SECONDS = 2.0


class _Sent(msgspec.Struct):
    event_id: str


class Sender:
    """Empties the outboxes of verifications."""

    def __init__(self, crypto: Crypto, failed: Callable[[Verification], None]) -> None:
        """`failed`: told of a verification that ended because its messages were refused."""
        self._crypto = crypto
        self._failed = failed
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._refusals: dict[str, HomeserverError] = {}

    def send(self, flow: Verification) -> None:
        """Sends what waits, beside everything else."""
        if not flow.outbox or flow.id in self._tasks:
            return
        task = self._crypto.client.host.loop.create_task(self._send_all(flow))
        self._tasks[flow.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(flow.id, None))

    async def settled(self, flow: Verification) -> None:
        """Waits until all is sent; raises what the homeserver's refusal was."""
        task = self._tasks.get(flow.id)
        if task is not None:
            await asyncio.shield(task)
        refusal = self._refusals.pop(flow.id, None)
        if refusal is not None:
            raise refusal

    async def tell(self, kind: str, messages: dict[str, dict[str, Any]]) -> None:
        """Sends to-device messages, in clear as all clients do."""
        await self._crypto.send_to_device(kind, messages, encrypted=False)

    async def say(self, room_id: str, kind: str, content: dict[str, Any]) -> str:
        """Sends an event to a room, encrypted if the room is; its event id.

        Where devices get no keys before they are trusted it goes in clear, as the specification
        allows for these messages: nobody could become trusted otherwise.
        """
        from libmatrix.sending import make_txn_id, send_event

        client = self._crypto.client
        if self._crypto.policy.is_open:
            return await send_event(client, room_id, kind, content)
        path = make_path("rooms", room_id, "send", kind, make_txn_id())
        return (await client.api.put(_Sent, path, content)).event_id

    def close(self) -> list[asyncio.Task[None]]:
        """Ends what is being sent, which is returned."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        return tasks

    # -- inside -------------------------------------------------------------------------------

    async def _send_all(self, flow: Verification) -> None:
        while flow.outbox:
            message = flow.outbox[0]
            try:
                await self._send(flow, message)
            except HomeserverError as error:
                self._log(f"{message.type} was refused: {error.message}")
                if not flow.is_over:
                    self._refusals = {flow.id: error}
                    flow.fail(error.code, error.message)
                    self._failed(flow)
                    return
            except MatrixError as error:
                self._log(f"{message.type} could not be sent: {error.message}")
                if not flow.is_over and flow.expires_ms > time.time_ns() // 1_000_000:
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
            del flow.outbox[:1]

    async def _send(self, flow: Verification, message: Message) -> None:
        if flow.room_id is None:
            each = dict.fromkeys(message.devices, message.content)
            await self.tell(message.type, {flow.user_id: each})
            return
        await self.say(flow.room_id, message.type, message.content)

    def _log(self, text: str) -> None:
        self._crypto.client.log.record("info", "encryption", text)
