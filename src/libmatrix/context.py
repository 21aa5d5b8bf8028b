"""A host's context in the runtime: its clients, its log, and whether its queue is full."""

from __future__ import annotations

import asyncio
from typing import Any

from libmatrix import frames
from libmatrix.client import Client
from libmatrix.errors import MatrixError
from libmatrix.host import Host
from libmatrix.log import Log
from libmatrix.preparation import Preparation
from libmatrix.table_gen import ClientOptions, ContextOptions

# How long the tasks of a closed context may take to notice that they are cancelled.
_LAST_SECONDS = 2.0


class Context:
    """One host context."""

    def __init__(self, host: Host, handle: int, options: ContextOptions) -> None:
        self.host = host
        self.handle = handle
        self.options = options
        self.log = Log(host.outbox, handle)
        self.clients: dict[int, Client] = {}
        # Not closed yet.
        self._closing: set[Client] = set()
        self._room: asyncio.Future[None] | None = None

    def create_client(self, handle: int, options: ClientOptions) -> Client:
        """Makes a client; what is wrong with it is told to each of its requests."""
        for closing in list(self._closing):
            if closing.options.store_path == options.store_path:
                # A store has one client at a time.
                self._close(closing)
        client = self.clients[handle] = Client(self, handle, options)
        client.open()
        return client

    def close_client(self, handle: int) -> None:
        """Ends a client; its requests end as cancelled."""
        client = self.clients.pop(handle, None)
        if client is None:
            return
        self._closing.add(client)
        if client.preparing is not None:
            self.host.in_background(self._close_later(client, client.preparing), self.log)
        else:
            self._close(client)

    async def _close_later(self, client: Client, preparing: Preparation) -> None:
        """What waits for the store to be unlocked may be sends, which are to be in it."""
        await preparing.finish(_LAST_SECONDS)
        self._close(client)

    def _close(self, client: Client) -> list[asyncio.Task[Any]]:
        if client not in self._closing:
            return []
        self._closing.discard(client)
        return client.close()

    async def has_room(self) -> None:
        """Waits while the host has more events than it may."""
        while self.host.bridge.is_full(self.handle):
            if self._room is None:
                self._room = self.host.loop.create_future()
            await asyncio.shield(self._room)

    def drained(self) -> None:
        """The host has caught up."""
        if self._room is not None:
            self._room.set_result(None)
            self._room = None

    async def close(self) -> None:
        """Closes the clients, then says that nothing of this context is left."""
        for client in self.clients.values():
            client.ending = MatrixError("the context was shut down", code="E_SHUTDOWN")
        self._closing.update(self.clients.values())
        self.clients.clear()
        preparing = [each.preparing for each in self._closing if each.preparing is not None]
        if preparing:
            await asyncio.gather(*(each.finish(_LAST_SECONDS) for each in preparing))
        tasks = [task for client in list(self._closing) for task in self._close(client)]
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_SECONDS)
        # Results of the cancelled tasks are queued by callbacks that run after this one wakes.
        await asyncio.sleep(0)
        self.host.outbox.add(frames.CLOSED, self.handle, 0)
        self.host.outbox.flush()
