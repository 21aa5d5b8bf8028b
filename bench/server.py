"""What the homeservers of the benchmarks share: they answer at once, on loopback."""

from __future__ import annotations

import asyncio

from tests.support.web_server import ConnectionServer, Received, reply


def render(body: bytes) -> bytes:
    """An HTTP answer with this JSON."""
    return reply(200, body, Content_Type="application/json")


# To all that a client asks beside: who it is, its filter, its rooms, what the homeserver can.
OTHER = render(
    b'{"user_id":"@bench:localhost","filter_id":"1","joined_rooms":[],"versions":["v1.11"]}'
)


class BenchServer(ConnectionServer):
    """Runs on a thread of its own while the `with` block does."""

    async def answer(self, request: Received, writer: asyncio.StreamWriter) -> None:
        """Sends the response."""
        writer.write(await self.respond(request.target, request.body))
        await writer.drain()

    async def respond(self, target: str, body: bytes) -> bytes:
        """A whole HTTP response to a request."""
        raise NotImplementedError
