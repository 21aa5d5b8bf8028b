"""Clients of the runtime in this process that talk in encrypted rooms of a real homeserver."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tests.support.homeserver import Account, Homeserver
from tests.support.runtime_host import SECONDS, RuntimeHost

ENCRYPTION = {"algorithm": "m.megolm.v1.aes-sha2"}
T = TypeVar("T")


class Talker:
    """One device of a user: its own login, and everything its host is told."""

    def __init__(
        self,
        host: RuntimeHost,
        homeserver: Homeserver,
        account: Account,
        store: Path | None = None,
        **options: Any,
    ) -> None:
        self.host = host
        self.account = account
        self.user_id = account.user_id
        if store is not None:
            options["store_path"] = str(store)
        self.client = host.client(homeserver.url, **{"encryption": True, **options})
        self.subscription = host.subscribe(self.client, "any")
        who = host.call(self.client, "account")
        if not who["is_logged_in"]:
            host.call(self.client, "login_password", user=account.user, password=account.password)
            who = host.call(self.client, "account")
        self.device_id = who["device_id"]

    def sync(self) -> None:
        """One sync; its events are there afterwards."""
        self.host.call(self.client, "sync_once")
        self.host.settle(0.0)

    def call(self, operation: str, **arguments: Any) -> Any:
        """An operation that must succeed."""
        return self.host.call(self.client, operation, **arguments)

    def events(self) -> list[dict[str, Any]]:
        """What the host was told, in order."""
        frames = self.host.events
        return [frame.payload for frame in frames if frame.target == self.subscription]

    def messages(self, room_id: str) -> list[dict[str, Any]]:
        """The messages among that."""
        found = [event for event in self.events() if event["room_id"] == room_id]
        return [event for event in found if event["type"] == "m.room.message"]

    def sync_until(self, holds: Callable[[], T], timeout_ms: int = 1000) -> T:
        """Syncs until something holds, and gives it."""
        deadline = time.monotonic() + SECONDS
        while not (found := holds()):
            assert time.monotonic() < deadline, self.host.logs[-20:]
            self.host.call(self.client, "sync_once", timeout_ms=timeout_ms)
            self.host.settle(0.0)
        return found

    def wait_event(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Syncs until an event has come that is wanted."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.events() if wanted(event)]

        return self.sync_until(found)[0]

    def wait_message(self, body: str) -> dict[str, Any]:
        """Syncs until a message of that text has come in clear."""
        return self.wait_event(lambda event: event.get("body") == body)

    def send(self, room_id: str, body: str) -> str:
        """Sends a text; its event id."""
        return str(self.call("send_text", room_id=room_id, body=body)["event_id"])


def encrypted_room(homeserver: Homeserver, first: Talker, *others: Talker, **settings: Any) -> str:
    """An encrypted room of all of them, that all of them have synced."""
    for talker in (first, *others):
        talker.sync()
    content = {**ENCRYPTION, **settings}
    initial = [{"type": "m.room.encryption", "state_key": "", "content": content}]
    invite = [talker.user_id for talker in others]
    made = first.call("create_room", initial_state=initial, invite=invite)
    room_id = str(made["room_id"])
    for talker in others:
        homeserver.join(talker.account, room_id)
    for talker in (first, *others):
        talker.sync()
    return room_id
