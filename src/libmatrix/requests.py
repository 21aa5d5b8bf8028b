"""Runs operations: one coroutine a request, and a task only for those that have to wait."""

from __future__ import annotations

import asyncio
import importlib
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, cast

import msgspec
from msgspec import Raw

from libmatrix import frames
from libmatrix.client import Client
from libmatrix.errors import ArgumentError, is_defect, map_arguments, map_error, places
from libmatrix.host import Host
from libmatrix.table_gen import OPERATIONS, Input, Output

Handler = Callable[[Client, Any], Coroutine[Any, Any, Output]]

_encode = msgspec.json.Encoder().encode


class Requests:
    """All requests of the process that are being worked on."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._outbox = host.outbox
        self._handlers: dict[str, tuple[Callable[[Raw], Input], Handler]] = {}

    def start(self, client: Client, request: int, name: str, body: Raw) -> None:
        """Starts a request; its one result is posted now or later."""
        failure = client.failure and client.check()
        if failure is not None:
            self.fail(client, request, failure)
            return
        if client.preparing is not None:
            # Which may also be cancelled.
            later = self._start_later(client, client.preparing, request, name, body)
            self._make_task(client, request, later, None)
            return
        try:
            decode, function = self._handlers.get(name) or self._load(name)
            self._host.starting_request = request
            coroutine = function(client, decode(body))
            waits_for = coroutine.send(None)
        except StopIteration as end:
            self._outbox.add(frames.RESULT, client.context, request, _encode(end.value), frames.OK)
        except msgspec.MsgspecError as error:
            self.fail(client, request, map_arguments(error))
        except BaseException as error:
            self.fail(client, request, error)
        else:
            self._make_task(client, request, coroutine, waits_for)

    def fail(self, client: Client, request: int, error: BaseException) -> None:
        """Posts an error as the result of a request; a defect is logged with its places."""
        if isinstance(error, asyncio.CancelledError):
            error = client.ending
        if is_defect(error):
            client.log.record("error", "runtime", places(error), "E_INTERNAL")
        payload = _encode(map_error(error).record())
        self._outbox.add(frames.RESULT, client.context, request, payload)

    async def _start_later(
        self, client: Client, ready: asyncio.Future[None], request: int, name: str, body: Raw
    ) -> Output:
        """Starts a request when its client is ready; requests stay in their order."""
        await asyncio.shield(ready)
        if client.failure is not None:
            raise client.failure
        decode, function = self._handlers.get(name) or self._load(name)
        try:
            arguments = decode(body)
        except msgspec.MsgspecError as error:
            raise map_arguments(error) from None
        self._host.starting_request = request
        return await function(client, arguments)

    def _make_task(
        self, client: Client, request: int, coroutine: Coroutine[Any, Any, Output], waits_for: Any
    ) -> None:
        answer = self._answer(client, request, _resume(coroutine, waits_for))
        # Begun by hand, so that a cancel before the task's first step is heard by the operation.
        answer.send(None)
        client.tasks[request] = self._host.loop.create_task(answer)

    async def _answer(self, client: Client, request: int, result: Awaitable[Output]) -> None:
        """Posts the result itself: a callback of the task would come a turn of the loop later."""
        try:
            payload = _encode(await result)
        except GeneratorExit:
            # The runtime is gone; the core has answered.
            raise
        except BaseException as error:
            self.fail(client, request, error)
        else:
            self._outbox.add(frames.RESULT, client.context, request, payload, frames.OK)
        del client.tasks[request]

    def _load(self, name: str) -> tuple[Callable[[Raw], Input], Handler]:
        spec = OPERATIONS.get(name)
        if spec is None:
            raise ArgumentError(f"there is no operation {name}")
        module = importlib.import_module(f"libmatrix.operations.{spec.area}")
        handler = cast(Handler, getattr(module, name))
        decode = msgspec.json.Decoder(spec.arguments).decode
        self._handlers[name] = found = (decode, handler)
        return found


@types.coroutine
def _resume(coroutine: Coroutine[Any, Any, Output], waits_for: Any) -> Generator[Any, Any, Output]:
    """Goes on with a coroutine that waits for something although it was in no task yet."""
    # The first, of nothing, ends when the task begins.
    waits = [None] if waits_for is None else [None, waits_for]
    while True:
        try:
            yield from waits
        except BaseException as error:
            try:
                waits = [coroutine.throw(error)]
            except StopIteration as end:
                return cast(Output, end.value)
        else:
            return cast(Output, (yield from coroutine))
