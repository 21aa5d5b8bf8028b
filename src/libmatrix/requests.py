"""Runs operations: one coroutine a request."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine
from typing import Any, cast

import msgspec
from msgspec import Raw

from libmatrix import frames
from libmatrix.client import Client
from libmatrix.errors import ArgumentError, is_defect, map_arguments, map_error, places
from libmatrix.host import Host
from libmatrix.preparation import Preparation
from libmatrix.table_gen import OPERATIONS, Input, Output
from libmatrix.tasks import Runner, run_by_hand

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
            self._go_on(client, request, later, run_by_hand(later))
            return
        try:
            decode, function = self._handlers.get(name) or self._load(name)
            self._host.starting_request = request
            coroutine = function(client, decode(body))
            waits_for = run_by_hand(coroutine)
        except StopIteration as end:
            self._outbox.add(frames.RESULT, client.context, request, _encode(end.value), frames.OK)
        except msgspec.MsgspecError as error:
            self.fail(client, request, map_arguments(error))
        except BaseException as error:
            self.fail(client, request, error)
        else:
            self._go_on(client, request, coroutine, waits_for)

    def fail(self, client: Client, request: int, error: BaseException) -> None:
        """Posts an error as the result of a request; a defect is logged with its places."""
        if isinstance(error, asyncio.CancelledError):
            error = client.ending
        if is_defect(error):
            client.log.record("error", "runtime", places(error), "E_INTERNAL")
        payload = _encode(map_error(error).record())
        self._outbox.add(frames.RESULT, client.context, request, payload)

    async def _start_later(
        self, client: Client, preparing: Preparation, request: int, name: str, body: Raw
    ) -> Output:
        """Starts a request when its client is ready; requests stay in their order."""
        await preparing.ready()
        if client.failure is not None:
            raise client.failure
        decode, function = self._handlers.get(name) or self._load(name)
        try:
            arguments = decode(body)
        except msgspec.MsgspecError as error:
            raise map_arguments(error) from None
        self._host.starting_request = request
        result = await function(client, arguments)
        if preparing.is_closing:
            # The host was told so. What it has queued is kept.
            raise asyncio.CancelledError
        return result

    def _go_on(
        self, client: Client, request: int, coroutine: Coroutine[Any, Any, Output], waits_for: Any
    ) -> None:
        """Posts the result when the coroutine ends."""

        def ended(value: Any, error: BaseException | None) -> None:
            del client.tasks[request]
            if error is None:
                try:
                    payload = _encode(value)
                except Exception as defect:
                    error = defect
            if error is not None:
                self.fail(client, request, error)
            else:
                self._outbox.add(frames.RESULT, client.context, request, payload, frames.OK)

        client.tasks[request] = runner = Runner(self._host.loop, coroutine, ended)
        runner.wait_for(waits_for)

    def _load(self, name: str) -> tuple[Callable[[Raw], Input], Handler]:
        spec = OPERATIONS.get(name)
        if spec is None:
            raise ArgumentError(f"there is no operation {name}")
        module = importlib.import_module(f"libmatrix.operations.{spec.area}")
        handler = cast(Handler, getattr(module, name))
        decode = msgspec.json.Decoder(spec.arguments).decode
        self._handlers[name] = found = (decode, handler)
        return found
