"""A homeserver that takes every send at once, on loopback; its answers are made beforehand."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from types import TracebackType

from bench.fixture import LOGIN, state

ROOMS = 32


def room_id(number: int) -> str:
    return f"!room{number}:localhost"


def _answer(body: dict[str, object], status: str = "200 OK") -> bytes:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    return head.encode() + b"\r\n\r\n" + data


_JOIN = {room_id(n): {"state": {"events": state(n)}} for n in range(ROOMS)}
_SENT = _answer({"event_id": "$" + "e" * 43})
_ANSWERS = {
    b"/login": _answer(dict(LOGIN)),
    b"/whoami": _answer(dict(LOGIN)),
    b"/versions": _answer({"versions": ["v1.11"]}),
    b"/sync": _answer({"next_batch": "s1", "rooms": {"join": _JOIN}}),
    b"/upload": _answer({"one_time_key_counts": {"signed_curve25519": 50}}),
}
_NOTHING = _answer({"errcode": "M_NOT_FOUND", "error": "no"}, "404 Not Found")


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._text = b""

    def data_received(self, data: bytes) -> None:
        self._text += data
        while True:
            head, found, rest = self._text.partition(b"\r\n\r\n")
            if not found:
                return
            _, _, after = head.lower().partition(b"content-length:")
            size = int(after.split(b"\r\n", 1)[0]) if after else 0
            if len(rest) < size:
                return
            self._text = rest[size:]
            self._transport.write(_reply(head))


def _reply(head: bytes) -> bytes:
    method, path, _ = head.split(b"\r\n", 1)[0].split(b" ")
    if method == b"PUT":
        return _SENT
    for name, answer in _ANSWERS.items():
        if name in path:
            return answer
    return _NOTHING


class SendFixture:
    """`with SendFixture() as url:`; runs on a thread of its own."""

    def __init__(self, processors: set[int] | None = None) -> None:
        """`processors`: those that it may run on."""
        self._loop = asyncio.new_event_loop()
        self._processors = processors
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        start = self._loop.create_server(_Connection, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def _run(self) -> None:
        if self._processors is not None:
            # Of this thread alone.
            os.sched_setaffinity(0, self._processors)
        self._loop.run_forever()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
