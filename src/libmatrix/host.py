"""What all contexts share: the way to the hosts, questions to them, and HTTP connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix import frames
from libmatrix.bridge import Bridge
from libmatrix.errors import MatrixError, NotHandledError, is_defect, places
from libmatrix.frames import Outbox
from libmatrix.store.files import StoreFiles
from libmatrix.sync.stagger import Stagger
from libmatrix.table_gen import ERROR_STATUS, ErrorCode, HostCall
from libmatrix.tasks import time_limit

if TYPE_CHECKING:
    from libmatrix.http.client import HttpClient, HttpSettings
    from libmatrix.log import Log

_encode = msgspec.json.Encoder().encode


class Host:
    """The process the runtime lives in, as clients and operations see it."""

    def __init__(self, bridge: Bridge, loop: asyncio.AbstractEventLoop) -> None:
        self.bridge = bridge
        self.loop = loop
        self.outbox = Outbox(bridge, loop)
        self.calls = HostCalls(self)
        self.connections = Connections(self)
        self.first_syncs = Stagger()
        self.files = StoreFiles(loop)
        # The request whose coroutine is being started; see Client.reporter().
        self.starting_request = 0
        self.background: set[asyncio.Task[None]] = set()
        # While messages are taken: what is to be done after the last of them.
        self._after: list[Callable[[], None]] | None = None

    def take_messages(self) -> None:
        """Messages of hosts are being handled from now on, until `end_messages`."""
        self._after = []

    def end_messages(self) -> None:
        """All messages that were there are handled."""
        after, self._after = self._after, None
        for work in after or ():
            work()

    def after_messages(self, work: Callable[[], None]) -> None:
        """Does something once for all messages that are there now; it must not fail."""
        if self._after is not None:
            self._after.append(work)
        else:
            self.loop.call_soon(work)

    def in_background(self, work: Coroutine[Any, Any, None], log: Log | None = None) -> None:
        """Runs something nobody waits for; a failure goes to the log."""
        task = self.loop.create_task(work)
        self.background.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self.background.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is not None and log is not None:
                level: Any = "error" if is_defect(error) else "warning"
                log.record(level, "runtime", places(error), "E_INTERNAL")

        task.add_done_callback(ended)


class HostCalls:
    """Questions to hosts that wait for their answer."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._waiting: dict[int, asyncio.Future[Raw]] = {}
        self._last = 0

    async def ask(
        self, context: int, request: int, name: str, payload: Raw, timeout_ms: int
    ) -> Raw:
        """Asks the host of a context on behalf of a request and returns its answer, a map."""
        self._last = call = self._last + 1
        future: asyncio.Future[Raw] = self._host.loop.create_future()
        self._waiting[call] = future
        question = HostCall(name=name, payload=payload or Raw(b"null"), timeout_ms=timeout_ms)
        self._host.outbox.add(frames.CALL, context, call, _encode(question), extra=request)
        try:
            async with time_limit(timeout_ms / 1000):
                return await future
        except TimeoutError:
            raise MatrixError(f"the host did not answer {name}", code="E_TIMEOUT") from None
        finally:
            del self._waiting[call]

    def answer(self, call: int, code: str, body: Raw) -> None:
        """Takes the answer; `code` is an error code when nobody answers."""
        future = self._waiting.get(call)
        if future is None or future.done():
            return
        if not code:
            future.set_result(body.copy())
        elif code == NotHandledError.CODE:
            future.set_exception(NotHandledError("the host has no callback for questions"))
        else:
            known: ErrorCode = code if code in ERROR_STATUS else "E_INTERNAL"  # type: ignore[assignment]
            future.set_exception(MatrixError("the host did not answer", code=known))


class Connections:
    """One HTTP client for each set of trust and proxy settings, shared by all that have it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._clients: dict[HttpSettings, tuple[HttpClient, int]] = {}

    def acquire(self, settings: HttpSettings) -> HttpClient:
        """The HTTP client for these settings; to be released as often as acquired."""
        from libmatrix.http.client import HttpClient

        client, users = self._clients.get(settings) or (HttpClient(settings), 0)
        self._clients[settings] = (client, users + 1)
        return client

    def release(self, settings: HttpSettings) -> None:
        """Gives it back; the last one closes it."""
        client, users = self._clients[settings]
        if users > 1:
            self._clients[settings] = (client, users - 1)
            return
        del self._clients[settings]
        self._host.in_background(client.close())
