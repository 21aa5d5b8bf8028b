"""The runtime: takes the hosts' messages in order and answers them, on one thread, in one loop.

docs/internals.md has the messages and the frames.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from libmatrix import frames
from libmatrix.bridge import Bridge
from libmatrix.client import Client
from libmatrix.context import Context
from libmatrix.errors import InternalError, MatrixError, is_defect, map_error, places
from libmatrix.host import Host
from libmatrix.inbox import Message, read_messages
from libmatrix.requests import Requests
from libmatrix.table_gen import ClientOptions, ContextOptions

# Messages handled in one turn of the loop, so that a flood of them does not starve the rest.
_TURN = 2_048
# How long cancelled requests may take when the process exits.
_LAST_SECONDS = 0.2

_decode_context_options = msgspec.json.Decoder(ContextOptions).decode
_decode_client_options = msgspec.json.Decoder(ClientOptions).decode
_encode = msgspec.json.Encoder().encode


class Runtime:
    """Everything the runtime thread does."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        # Not by a policy, which would look at signals.
        self._loop = asyncio.SelectorEventLoop()
        self._host = Host(bridge, self._loop)
        self._requests = Requests(self._host)
        self._contexts: dict[int, Context] = {}
        self._clients: dict[int, Client] = {}
        self._backlog: deque[Message] = deque()
        self._fault: Exception | None = None
        self._kinds: dict[str, Callable[[int, int, int, str, Raw], None]] = {
            "request": self._request,
            "consumed": self._consumed,
            "drained": self._drained,
            "cancel": self._cancel,
            "respond": self._respond,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "create_client": self._create_client,
            "close_client": self._close_client,
            "open_context": self._open_context,
            "close_context": self._close_context,
            "log_level": self._log_level,
        }

    def run(self) -> None:
        """Runs until the process exits; raises when it cannot go on."""
        loop = self._loop
        loop.set_exception_handler(self._loop_failed)
        loop.add_reader(self._bridge.request_fd, self._turn)
        loop.call_soon(self._turn)
        loop.call_soon(self._bridge.ready)
        try:
            loop.run_forever()
        finally:
            loop.remove_reader(self._bridge.request_fd)
            self._end()
        if self._fault is not None:
            raise self._fault

    def stop_soon(self) -> None:
        """Ends run(); may be called from any thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    # -- messages -----------------------------------------------------------------------------

    def _turn(self) -> None:
        """Takes what waits and handles a bounded number of messages."""
        backlog = self._backlog
        if not backlog and not self._take():
            return
        # Asked after taking, which also takes what woke us.
        if self._bridge.stopping():
            self._loop.stop()
            return
        kinds = self._kinds
        self._host.take_messages()
        for _ in range(min(_TURN, len(backlog))):
            kind, context, client, target, name, body = backlog.popleft()
            try:
                kinds[kind](context, client, target, name, body)
            except Exception as error:
                self._failed(context, error)
        self._host.end_messages()
        self._host.outbox.flush()
        if backlog:
            self._loop.call_soon(self._turn)

    def _take(self) -> bool:
        """Fills the backlog; without what the core says there is no going on."""
        try:
            waiting = self._bridge.take()
            if waiting:
                self._backlog.extend(read_messages(waiting))
        except Exception as error:
            self._fault = error
            self._loop.stop()
        return self._fault is None

    def _request(self, context: int, handle: int, request: int, name: str, body: Raw) -> None:
        client = self._clients.get(handle)
        if client is not None:
            self._requests.start(client, request, name, body)
            return
        # Closed meanwhile: the core has answered it already and drops this.
        error = MatrixError("the client is closed", code="E_CANCELLED")
        self._host.outbox.add(frames.RESULT, context, request, _encode(error.record()))

    def _cancel(self, _context: int, handle: int, request: int, _name: str, _body: Raw) -> None:
        client = self._clients.get(handle)
        task = client.tasks.get(request) if client else None
        if task is not None:
            task.cancel()

    def _consumed(self, _context: int, handle: int, mark: int, _name: str, _body: Raw) -> None:
        client = self._clients.get(handle)
        if client is not None:
            client.consumed(mark)

    def _drained(self, handle: int, *_rest: Any) -> None:
        context = self._contexts.get(handle)
        if context is not None:
            context.drained()

    def _respond(self, _context: int, _client: int, call: int, code: str, body: Raw) -> None:
        self._host.calls.answer(call, code, body)

    def _subscribe(self, _context: int, handle: int, target: int, kind: str, body: Raw) -> None:
        client = self._clients.get(handle)
        if client is not None:
            client.subscribe(target, kind, body)

    def _unsubscribe(self, _context: int, handle: int, target: int, *_rest: Any) -> None:
        client = self._clients.get(handle)
        if client is not None:
            client.subscriptions.remove(target)

    def _create_client(self, handle: int, client: int, _target: int, _name: str, body: Raw) -> None:
        context = self._contexts[handle]
        self._clients[client] = context.create_client(client, _decode_client_options(body))

    def _close_client(self, handle: int, client: int, *_rest: Any) -> None:
        self._clients.pop(client, None)
        context = self._contexts.get(handle)
        if context is not None:
            context.close_client(client)

    def _open_context(self, handle: int, *rest: Any) -> None:
        options = _decode_context_options(rest[-1])
        self._contexts[handle] = Context(self._host, handle, options)

    def _close_context(self, handle: int, *_rest: Any) -> None:
        context = self._contexts.pop(handle, None)
        if context is None:
            self._host.outbox.add(frames.CLOSED, handle, 0)
            return
        for client in context.clients:
            self._clients.pop(client, None)
        self._host.in_background(context.close(), context.log)

    def _log_level(self, handle: int, _client: int, _target: int, level: str, _body: Raw) -> None:
        context = self._contexts.get(handle)
        if context is not None:
            context.log.set_level(level)

    # -- trouble and the end ------------------------------------------------------------------

    def log(self, level: Any, source: str, message: str, code: str | None = None) -> None:
        """A record for every context, about something that belongs to none."""
        for context in self._contexts.values():
            context.log.record(level, source, message, code)

    def _failed(self, handle: int, error: Exception) -> None:
        """A message could not be handled; the runtime goes on."""
        context = self._contexts.get(handle)
        if context is None:
            return
        failure = map_error(error)
        text = places(error) if is_defect(error) else failure.message
        context.log.record("error", "runtime", text, failure.code)

    def _loop_failed(self, _loop: asyncio.AbstractEventLoop, details: dict[str, Any]) -> None:
        error = details.get("exception")
        # The message may hold values; the places do not.
        text = places(error) if isinstance(error, BaseException) else "a callback failed"
        self.log("error", "runtime", text, InternalError.CODE)

    def _end(self) -> None:
        """Closes the stores first; requests that are open get what time is left."""
        tasks = [task for client in self._clients.values() for task in client.close()]
        tasks += self._host.background
        if tasks:
            self._loop.run_until_complete(asyncio.wait(tasks, timeout=_LAST_SECONDS))
        self._host.outbox.flush()
        self._contexts.clear()
        self._loop.close()
