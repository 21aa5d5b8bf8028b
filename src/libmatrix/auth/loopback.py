"""Waits on 127.0.0.1 for the browser to come back, once.

A random port, GET only, the right Host and the right `state`; anything else gets a page that says
no, and the wait goes on.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from collections.abc import Awaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw

from libmatrix.descriptors import have_run_out
from libmatrix.errors import ArgumentError, MatrixError, TransportError
from libmatrix.tasks import time_limit

if TYPE_CHECKING:
    from libmatrix.auth.uia import Ask

_QUESTION = "open_url"
_MOST_HEAD = 16 * 1024
_MOST_FIELDS = 20
_MOST_CONNECTIONS = 8
_READ_SECONDS = 5.0
_REQUEST = re.compile(rb"(?P<method>[A-Z]{1,10}) (?P<target>/[!-~]*) HTTP/1\.[01]\r\n")
_PAGE = (
    "<!doctype html><html><head><meta charset=utf-8><title>{title}</title></head>"
    "<body><h1>{title}</h1><p>{text}</p></body></html>\n"
)
_HEAD = (
    "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {size}\r\n"
    "Cache-Control: no-store\r\nContent-Security-Policy: default-src 'none'\r\n"
    "Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
)
_DONE = ("200 OK", "Done", "You can close this window and go back to the program.")
_NO_METHOD = ("405 Method Not Allowed", "Not allowed", "Only GET works here.")
_NOT_FOUND = ("404 Not Found", "Not found", "There is nothing here.")
_BAD = ("400 Bad Request", "Not valid", "This is not the answer that is being waited for.")


class Listener:
    """One wait: `url` is where the browser is to come to, `state` what it must bring."""

    def __init__(self) -> None:
        self.state = secrets.token_urlsafe(32)
        self.arrived: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}/"

    async def __aenter__(self) -> Listener:
        try:
            self._server = await asyncio.start_server(
                self._accept, "127.0.0.1", 0, limit=_MOST_HEAD, backlog=_MOST_CONNECTIONS
            )
        except OSError as error:
            code = "E_TOO_MANY_FILES" if have_run_out(error) else None
            text = f"cannot listen on 127.0.0.1: {error.strerror}"
            raise TransportError(text, code=code) from None
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.arrived.cancel()
        if kind is None and self._tasks:
            # The last page is on its way.
            await asyncio.wait(self._tasks, timeout=1.0)
        for task in self._tasks:
            task.cancel()

    async def wait(self, ask: Ask, url: str, timeout_ms: int) -> dict[str, str]:
        """Has the host open a URL and waits for what the browser brings back."""
        if timeout_ms <= 0:
            raise ArgumentError("timeout_ms: must be above 0")
        payload = Raw(msgspec.json.encode({"url": url}))
        question = asyncio.create_task(_asked(ask(_QUESTION, payload, timeout_ms)))
        waiting: set[asyncio.Future[Any]] = {question, self.arrived}
        try:
            async with time_limit(timeout_ms / 1000):
                # The browser may be back before the host says that it has opened it.
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                problem = question.result() if question.done() else None
                if problem is not None and not self.arrived.done():
                    raise problem
                return await self.arrived
        except TimeoutError:
            raise MatrixError("nobody came back from the browser", code="E_TIMEOUT") from None
        finally:
            question.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= _MOST_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with time_limit(_READ_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                status, title, text = self._answer(head)
                page = _PAGE.format(title=title, text=text)
                writer.write((_HEAD.format(status=status, size=len(page)) + page).encode())
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.transport.abort()

    def _answer(self, head: bytes) -> tuple[str, str, str]:
        match = _REQUEST.match(head)
        if match is None:
            return _BAD
        if match["method"] != b"GET":
            return _NO_METHOD
        hosts = re.findall(rb"\r\nhost:[ \t]*([!-~]*)[ \t]*(?=\r\n)", head, re.IGNORECASE)
        if hosts != [b"127.0.0.1:%d" % self._port]:
            return _BAD
        path, _, query = match["target"].decode("ascii").partition("?")
        if path != "/":
            return _NOT_FOUND
        return self._take(query)

    def _take(self, query: str) -> tuple[str, str, str]:
        try:
            pairs = parse_qsl(query, max_num_fields=_MOST_FIELDS, errors="strict")
        except ValueError:
            return _BAD
        fields = dict(pairs)
        state = fields.pop("state", "").encode()
        is_plain = len(fields) + 1 == len(pairs)
        if not is_plain or not hmac.compare_digest(state, self.state.encode()):
            return _BAD
        if self.arrived.done():
            return _BAD
        self.arrived.set_result(fields)
        return _DONE


async def _asked(question: Awaitable[Raw]) -> MatrixError | None:
    """What went wrong with a question; its answer holds nothing."""
    try:
        await question
    except MatrixError as error:
        return error
    return None
