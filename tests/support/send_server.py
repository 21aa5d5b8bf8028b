"""A homeserver that takes sends, each transaction once, or does something else first.

    with SendServer(lambda sending: DROP if sending.number == 1 else TAKE) as server:
        ...
    server.taken    # what it took, in order

Everything but sends is answered as by a homeserver where nothing happens and no room is encrypted.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.support.web_server import ConnectionServer, Received, reply

ME = "@me:x"
_SENDS = ("send", "state", "redact")


@dataclass
class Sending:
    """One request to send something; `number` counts them from 0."""

    number: int
    kind: str
    room_id: str
    parts: list[str]
    token: str
    body: Any

    @property
    def txn_id(self) -> str:
        """The last part of the path."""
        return self.parts[-1]


@dataclass(frozen=True)
class Deed:
    """What is done with a request to send something."""

    takes: bool = True
    # None: the connection is dropped.
    status: int | None = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    # Answered only when it is set.
    gate: threading.Event | None = None


TAKE = Deed()
# Before it was taken, and after.
DROP = Deed(takes=False, status=None)
LOSE = Deed(status=None)


def refuse(status: int, code: str, **fields: Any) -> Deed:
    """Does not take it and says so as Matrix does."""
    return Deed(False, status, {"errcode": code, "error": code, **fields})


def limit(retry_after_ms: int) -> Deed:
    """Asks to slow down."""
    return refuse(429, "M_LIMIT_EXCEEDED", retry_after_ms=retry_after_ms)


class SendServer(ConnectionServer):
    """Runs while the `with` block does."""

    def __init__(self, deed: Callable[[Sending], Deed] = lambda _: TAKE) -> None:
        super().__init__()
        self.deed = deed
        # Answers the rest: given method, path and token, it may give status and body.
        self.other: Callable[[str, str, str], tuple[int, Any] | None] = lambda *_: None
        self.sendings: list[Sending] = []
        self.taken: list[Sending] = []
        self.most_at_once = 0
        self._at_once = 0
        self._event_ids: dict[tuple[str, ...], str] = {}

    def bodies(self, room_id: str | None = None) -> list[str]:
        """The texts of the messages it took, in order."""
        taken = [each for each in self.taken if room_id in (None, each.room_id)]
        return [each.body.get("body") for each in taken]

    async def answer(self, request: Received, writer: asyncio.StreamWriter) -> None:
        """Takes what is sent, or does what is to be done with it."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        path = request.parts.path
        parts = [unquote(part) for part in path.split("/")[4:]]
        if request.method == "PUT" and parts[0] == "rooms" and parts[2] in _SENDS:
            body = json.loads(request.body)
            sending = Sending(len(self.sendings), parts[2], parts[1], parts[3:], token, body)
            self.sendings.append(sending)
            deed = self.deed(sending)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            try:
                await self._do(deed, sending, writer)
            finally:
                self._at_once -= 1
            return
        status, body = self.other(request.method, path, token) or _usual(path)
        await _write(writer, status, body)

    async def _do(self, deed: Deed, sending: Sending, writer: asyncio.StreamWriter) -> None:
        event_id = ""
        if deed.takes:
            event_id = self._take(sending)
        if deed.gate is not None:
            await asyncio.to_thread(deed.gate.wait, 30)
        if deed.status is None:
            writer.transport.abort()
            return
        body = {"event_id": event_id} if deed.body is None else deed.body
        await _write(writer, deed.status, body, deed.headers)

    def _take(self, sending: Sending) -> str:
        place = (sending.token, sending.kind, sending.room_id, *sending.parts)
        if sending.kind == "state" or place not in self._event_ids:
            self._event_ids[place] = f"$e{len(self.taken)}"
            self.taken.append(sending)
        return self._event_ids[place]


def _usual(path: str) -> tuple[int, Any]:
    if path.endswith("/m.room.encryption/"):
        return 404, {"errcode": "M_NOT_FOUND", "error": "no"}
    if path.endswith("/sync"):
        return 200, {"next_batch": "s1"}
    fields = {"user_id": ME, "device_id": "D", "access_token": "token", "versions": ["v1.11"]}
    return 200, fields


async def _write(
    writer: asyncio.StreamWriter, status: int, body: Any, headers: dict[str, str] | None = None
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    writer.write(reply(status, data, **(headers or {})))
    await writer.drain()
