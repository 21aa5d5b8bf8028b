"""A host in Python: drives the runtime in this process, in place of the core and its C queues."""

from __future__ import annotations

import contextlib
import json
import os
import select
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from libmatrix import frames
from libmatrix.events.head import DEEPEST, read_event
from libmatrix.events.record import Marks, make_record
from libmatrix.runtime import Runtime

HEADER = struct.Struct("=IHHQQQ")
RUN = struct.Struct("=IIII")
DELIVERY = struct.Struct("=QQ")
CONTEXT = 1
# What takes longer has failed; a busy machine is slow.
SECONDS = 60.0
T = TypeVar("T")


@dataclass
class Frame:
    """One frame, its payload decoded."""

    kind: int
    flags: int
    context: int
    target: int
    extra: int
    payload: Any

    @property
    def is_ok(self) -> bool:
        """Whether a result is no error."""
        return bool(self.flags & frames.OK)


class FakeBridge:
    """What bridge.h offers, with a list for the inbox and a deque for the queue."""

    def __init__(self) -> None:
        self.request_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._inbox: list[list[Any]] = []
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self.queue: deque[Frame] = deque()
        # Of subscriptions.
        self.kinds: dict[int, str] = {}
        self.event_limit = 1 << 30
        self._wants_room = False
        self.is_stopping = False
        self.is_ready = threading.Event()

    def send(self, *message: Any) -> None:
        """Adds a message for the runtime."""
        if message[0] == "subscribe":
            self.kinds[message[3]] = message[4]
        with self._lock:
            self._inbox.append(list(message))
        os.write(self._write_fd, b"1")

    def take(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            os.read(self.request_fd, 65536)
        with self._lock:
            inbox, self._inbox = self._inbox, []
        return json.dumps(inbox).encode() if inbox else b""

    def post(self, block: bytes) -> bool:
        position = 0
        with self._arrived:
            while position < len(block):
                size, kind, flags, context, target, extra = HEADER.unpack_from(block, position)
                start = position + HEADER.size
                text = block[start : start + size]
                assert block[start + size] == 0
                if kind == frames.RUN:
                    self.queue += self._events(text, flags, context)
                else:
                    payload = json.loads(text) if text else None
                    self.queue.append(Frame(kind, flags, context, target, extra, payload))
                position = start + size + 1
            assert position == len(block)
            self._arrived.notify_all()
            return self._is_above()

    def _events(self, text: bytes, flags: int, context: int) -> list[Frame]:
        """The events of a run, as the core delivers them."""
        count, raw_count, *name_sizes = RUN.unpack_from(text)
        place = RUN.size + DELIVERY.size * count
        deliveries = list(DELIVERY.iter_unpack(text[RUN.size : place]))
        parts = []
        sizes = struct.unpack_from(f"={raw_count}I", text, place)
        place += 4 * raw_count
        for size, end in [(size, b"\0") for size in name_sizes] + [(size, b"") for size in sizes]:
            parts.append(text[place : place + size])
            place += size + len(end)
            assert text[place - len(end) : place] == end
        assert place == len(text)
        room_id, user_id, *raws = parts
        marks = Marks(bool(flags & frames.HISTORIC), bool(flags & frames.FILLED))
        return [
            Frame(
                frames.EVENT,
                0,
                context,
                target,
                0,
                json.loads(
                    msgspec.json.encode(
                        make_record(
                            room_id.decode(),
                            read_event(raws[index]),
                            msgspec.Raw(raws[index]),
                            user_id.decode(),
                            self.kinds[target],
                            marks,
                            None,
                        )
                    )
                ),
            )
            for target, index in deliveries
        ]

    def is_tame(self, text: bytes) -> bool:
        """As the core, by looking at each value."""
        try:
            values = [(1, json.loads(text.decode()))]
        except (ValueError, RecursionError):
            return False
        while values:
            level, value = values.pop()
            if isinstance(value, dict):
                values += ((level + 1, each) for pair in value.items() for each in pair)
            elif isinstance(value, list):
                values += ((level + 1, each) for each in value)
            elif not _is_plain(value) or level > DEEPEST:
                return False
        return True

    def is_full(self, context: int) -> bool:
        with self._lock:
            self._wants_room = self._is_above()
            return self._wants_room

    def ready(self) -> None:
        self.is_ready.set()

    def stopping(self) -> bool:
        return self.is_stopping

    def _is_above(self) -> bool:
        return sum(frame.kind == frames.EVENT for frame in self.queue) > self.event_limit

    def next(self, timeout: float) -> Frame | None:
        """Takes a frame from the queue."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: self.queue, timeout):
                return None
            frame = self.queue.popleft()
            has_room = self._wants_room and not self._is_above()
            self._wants_room = self._wants_room and not has_room
        if has_room:
            self.send("drained", frame.context, 0, 0, "", None)
        return frame


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return value.isprintable()
    return value is None or abs(value) < 10**18


class RuntimeHost:
    """One context with a runtime of its own. Frames are handled when a method waits for them."""

    def __init__(self) -> None:
        self.bridge = FakeBridge()
        self.runtime = Runtime(self.bridge)
        self._ahead = 0.0
        loop = self.runtime._loop
        now = loop.time
        loop.time = lambda: now() + self._ahead  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self.runtime.run, daemon=True)
        self._thread.start()
        self._last = 100
        self.results: dict[int, Frame] = {}
        self.events: list[Frame] = []
        self.logs: list[dict[str, Any]] = []
        self.calls: deque[Frame] = deque()
        self.progress: list[Frame] = []
        self.has_closed = False
        self.consumes = True
        self.bridge.send("open_context", CONTEXT, 0, 0, "", {})
        self.bridge.send("log_level", CONTEXT, 0, 0, "trace", None)

    def __enter__(self) -> RuntimeHost:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def handle(self) -> int:
        """A number never used before."""
        self._last += 1
        return self._last

    def client(self, homeserver: str | None = "http://127.0.0.1:9", **options: Any) -> int:
        """Makes a client; without encryption, which asks the homeserver things of its own."""
        client = self.handle()
        body = {"homeserver": homeserver, "encryption": False, **options}
        self.bridge.send("create_client", CONTEXT, client, 0, "", body)
        return client

    def submit(self, client: int, operation: str, **arguments: Any) -> int:
        """Submits a request."""
        request = self.handle()
        self.bridge.send("request", CONTEXT, client, request, operation, arguments)
        return request

    def subscribe(self, client: int, kind: str = "message", **wanted: Any) -> int:
        """Makes a subscription."""
        subscription = self.handle()
        self.bridge.send("subscribe", CONTEXT, client, subscription, kind, wanted)
        return subscription

    def send(self, kind: str, client: int = 0, target: int = 0, name: str = "") -> None:
        """Any other message."""
        self.bridge.send(kind, CONTEXT, client, target, name, None)

    def wait(self, request: int, timeout: float = SECONDS) -> Frame:
        """Dispatches until the request has its result."""
        deadline = time.monotonic() + timeout
        while request not in self.results:
            if not self.step(deadline - time.monotonic()):
                raise TimeoutError(f"no result within {timeout} s; log: {self.logs}")
        return self.results.pop(request)

    def call(self, client: int, operation: str, **arguments: Any) -> Any:
        """Submits, waits, and returns the payload of a result that must be ok."""
        frame = self.wait(self.submit(client, operation, **arguments))
        assert frame.is_ok, frame.payload
        return frame.payload

    def refuse(self, client: int, operation: str, **arguments: Any) -> Any:
        """Submits, waits, and returns the error that must be the result."""
        frame = self.wait(self.submit(client, operation, **arguments))
        assert not frame.is_ok, frame.payload
        return frame.payload

    def step(self, timeout: float = 0.0) -> bool:
        """Handles one frame."""
        frame = self.bridge.next(max(timeout, 0))
        if frame is None:
            return False
        if frame.kind == frames.RESULT:
            assert frame.target not in self.results
            self.results[frame.target] = frame
        elif frame.kind == frames.EVENT:
            self.events.append(frame)
        elif frame.kind == frames.LOG:
            self.logs.append(frame.payload)
        elif frame.kind == frames.CALL:
            self.calls.append(frame)
        elif frame.kind == frames.PROGRESS:
            self.progress.append(frame)
        elif frame.kind == frames.CLOSED:
            self.has_closed = True
        elif frame.kind == frames.MARK and self.consumes:
            self.bridge.send("consumed", CONTEXT, frame.target, frame.extra, "", None)
        return True

    def until(self, holds: Callable[[], T]) -> T:
        """Dispatches until something holds, and gives it."""
        deadline = time.monotonic() + SECONDS
        while not (found := holds()):
            assert time.monotonic() < deadline, self.logs[-20:]
            self.step(0.02)
        return found

    def inside(self, work: Callable[[], T]) -> T:
        """What a function gives; the thread of the runtime calls it, whose objects are its own."""
        found: Future[T] = Future()

        def call() -> None:
            try:
                found.set_result(work())
            except BaseException as error:
                found.set_exception(error)

        self.runtime._loop.call_soon_threadsafe(call)
        return found.result(20.0)

    def pass_time(self, seconds: float) -> None:
        """Puts the clock of the runtime's loop forward; what is due comes with the next message."""
        self._ahead += seconds

    def settle(self, seconds: float = 0.2) -> None:
        """Dispatches until nothing has come for so long."""
        while self.step(seconds):
            pass

    def stop(self) -> None:
        """Ends the runtime as the exit of the process does."""
        self.bridge.is_stopping = True
        os.write(self.bridge._write_fd, b"1")
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        assert select.select([], [], [], 0) == ([], [], [])
