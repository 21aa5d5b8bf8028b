"""A client that sends, its runtime in this process, where to, and what its store keeps of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from libmatrix.sending.queue import SendQueue
from tests.support.runtime_host import RuntimeHost
from tests.support.send_server import ME, TAKE, Deed, Sending, SendServer

A, B = "!a:x", "!b:x"


class Sender:
    """A client that is logged in, and what its host hears."""

    def __init__(self, server: SendServer, store: Path | None = None, **options: Any) -> None:
        self.host = RuntimeHost()
        options = {"access_token": "token", "user_id": ME, "device_id": "D", **options}
        if store is not None:
            options["store_path"] = str(store)
        self.client = self.host.client(server.url, **options)

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.host.stop()

    def subscribe(self, kind: str = "send", **wanted: Any) -> int:
        return self.host.subscribe(self.client, kind, **wanted)

    def send(self, body: str, room_id: str = A, **options: Any) -> int:
        options = {"room_id": room_id, "body": body, **options}
        return self.host.submit(self.client, "send_text", **options)

    def call(self, operation: str, **arguments: Any) -> Any:
        return self.host.call(self.client, operation, **arguments)

    def limit_store(self, pages: int) -> None:
        """The store's file may not grow beyond that, as on a full disk."""

        def limit() -> None:
            with self.queue.client.state.disk.reading() as connection:
                connection.execute(f"PRAGMA max_page_count = {pages}")

        self.host.inside(limit)

    def forbid_writes(self, *, is_forbidden: bool = True) -> None:
        """Nothing can be written to the store, until it is allowed again."""

        def forbid() -> None:
            with self.queue.client.state.disk.reading() as connection:
                connection.execute(f"PRAGMA query_only = {int(is_forbidden)}")

        self.host.inside(forbid)

    @property
    def queue(self) -> SendQueue:
        """Only for work inside the runtime."""
        return self.host.runtime._clients[self.client].sends

    def states(self) -> list[tuple[str, str]]:
        """Transaction id and state of the events so far."""
        events = [event.payload for event in self.host.events]
        return [(event["txn_id"], event["state"]) for event in events if event["kind"] == "send"]

    def until(self, holds: Callable[[], Any]) -> Any:
        """Dispatches until something holds, and gives it."""
        return self.host.until(holds)

    def consume(self) -> None:
        """Has the runtime know that the host has consumed all that it was given."""
        self.host.settle()
        # Answered after what was said before.
        self.call("account")

    def event_id(self, request: int) -> str:
        frame = self.host.wait(request)
        assert frame.is_ok, frame.payload
        return str(frame.payload["event_id"])

    def code(self, request: int) -> str:
        frame = self.host.wait(request)
        assert not frame.is_ok, frame.payload
        return str(frame.payload["code"])


def once(deed: Deed) -> Callable[[Sending], Deed]:
    """Does something with the first request, and takes all others."""
    return lambda sending: deed if sending.number == 0 else TAKE


def rows(store: Path) -> list[tuple[Any, ...]]:
    """What of the queue is in a store."""
    database = sqlite3.connect(f"file:{store / 'libmatrix.sqlite3'}?immutable=0", uri=True)
    try:
        query = "SELECT send_id, room_id, draft, tried_ms, outcome FROM send"
        return database.execute(query).fetchall()
    finally:
        database.close()


def set_back(store: Path, by_ms: int) -> None:
    """Lets time pass for what a store knows of attempts."""
    database = sqlite3.connect(store / "libmatrix.sqlite3")
    database.execute("UPDATE send SET tried_ms = tried_ms - ?", (by_ms,))
    database.commit()
    database.close()


def stuck(sender: Sender, server: SendServer, count: int, **options: Any) -> None:
    """Queues messages that do not get away."""
    server.stop()
    sender.subscribe()
    for number in range(count):
        sender.send(str(number), txn_id=f"t{number}", **options)
    sender.until(lambda: [each[1] for each in sender.states()].count("queued") >= count)


@pytest.fixture
def server() -> Iterator[SendServer]:
    """Where it sends to; tests that need another homeserver have one of this name."""
    with SendServer() as running:
        yield running
