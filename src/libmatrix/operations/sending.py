"""What waits to be sent."""

from __future__ import annotations

from libmatrix.client import Client
from libmatrix.table_gen import (
    CancelSendArguments,
    CancelSendResult,
    RetrySendsArguments,
    RetrySendsResult,
    SendsArguments,
    SendsResult,
)


async def sends(client: Client, arguments: SendsArguments) -> SendsResult:
    """Lists what is not over."""
    return SendsResult(sends=client.sends.listed(arguments.room_id))


async def cancel_send(client: Client, arguments: CancelSendArguments) -> CancelSendResult:
    """Drops a send that waits."""
    return CancelSendResult(is_cancelled=client.sends.cancel(arguments.send_id))


async def retry_sends(client: Client, arguments: RetrySendsArguments) -> RetrySendsResult:
    """Tries at once what waits after a failure."""
    return RetrySendsResult(count=client.sends.hurry())
