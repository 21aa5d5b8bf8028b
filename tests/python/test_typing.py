"""Typing is said again for as long as it is true, and not longer."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer

ROOM = "!room:localhost"
LONG, LONGER = 6_000, 8_000


class Room:
    """A homeserver that keeps who types: `said` are the timeouts, None for the end."""

    def __init__(self) -> None:
        self.said: list[int | None] = []
        self.status = 200
        # How long the homeserver wants no more, in ms.
        self.retry_after_ms: int | None = None

    def script(self, request: Request) -> Answer:
        if request.path.endswith("/whoami"):
            return Answer({"user_id": "@me:localhost", "device_id": "D"})
        refusal: dict[str, Any] = {"errcode": "M_FORBIDDEN"}
        if self.retry_after_ms is not None:
            refusal = {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": self.retry_after_ms}
        answer = Answer({} if self.status == 200 else refusal, self.status)
        self.said.append(request.body.get("timeout") if request.body["typing"] else None)
        return answer


def wait_for(host: RuntimeHost, room: Room, count: int) -> None:
    """Lets the time of refreshes pass until so much was said."""
    client = host.client()
    for _ in range(60):
        before = len(room.said)
        if before >= count:
            return
        host.pass_time(LONGER / 1000)
        host.call(client, "ping")
        # The answer to the one before may still have been on its way: then its time begins now.
        deadline = time.monotonic() + 1
        while len(room.said) == before and time.monotonic() < deadline:
            host.step(0.02)
    raise AssertionError(room.said)


@pytest.fixture
def room() -> Room:
    return Room()


def test_it_is_said_again_until_it_is_taken_back(host: RuntimeHost, room: Room) -> None:
    with ScriptedServer(room.script) as server:
        client = host.client(server.url, access_token="t", user_id="@me:localhost")
        host.call(client, "set_typing", room_id=ROOM, is_typing=True, timeout_ms=LONG)
        # What is being said is not said once more.
        host.call(client, "set_typing", room_id=ROOM, is_typing=True, timeout_ms=LONG)
        assert room.said == [LONG]
        wait_for(host, room, 3)
        host.call(client, "set_typing", room_id=ROOM, is_typing=False)
        said = list(room.said)
        assert set(said[:-1]) == {LONG} and said[-1] is None
        # In another room, for the time that two refreshes take: nothing comes of the first.
        other = len(said)
        host.call(
            client, "set_typing", room_id="!other:localhost", is_typing=True, timeout_ms=LONGER
        )
        wait_for(host, room, other + 3)
        assert set(room.said[other:]) == {LONGER}


def test_it_ends_with_the_room(host: RuntimeHost, room: Room) -> None:
    with ScriptedServer(room.script) as server:
        client = host.client(server.url, access_token="t", user_id="@me:localhost")
        host.call(client, "set_typing", room_id=ROOM, is_typing=True, timeout_ms=LONG)
        room.status = 403
        wait_for(host, room, 2)
        room.status = 200
        host.call(
            client, "set_typing", room_id="!other:localhost", is_typing=True, timeout_ms=LONGER
        )
        wait_for(host, room, 5)
        assert room.said[:2] == [LONG, LONG] and set(room.said[2:]) == {LONGER}


@pytest.mark.parametrize("status", [408, 429])
def test_it_goes_on_after_a_refusal_that_passes(host: RuntimeHost, room: Room, status: int) -> None:
    with ScriptedServer(room.script) as server:
        client = host.client(server.url, access_token="t", user_id="@me:localhost")
        host.call(client, "set_typing", room_id=ROOM, is_typing=True, timeout_ms=LONG)
        # Longer than any request waits for by itself.
        room.status, room.retry_after_ms = status, 40_000
        wait_for(host, room, 2)
        room.status = 200
        # Meanwhile the refusal is read.
        host.call(client, "set_typing", room_id="!other:localhost", is_typing=False)
        assert room.said == [LONG, LONG, None]
        for _ in range(3):
            host.pass_time(LONGER / 1000)
            host.call(client, "set_typing", room_id="!other:localhost", is_typing=False)
        assert room.said[3:] == [None] * 3
        wait_for(host, room, 8)
        assert set(room.said[6:]) == {LONG}


def test_it_ends_with_the_client(host: RuntimeHost, room: Room) -> None:
    with ScriptedServer(room.script) as server:
        client = host.client(server.url, access_token="t", user_id="@me:localhost")
        host.call(client, "set_typing", room_id=ROOM, is_typing=True, timeout_ms=LONG)
        host.send("close_client", client)
        other = host.client(server.url, access_token="t", user_id="@me:localhost")
        host.call(other, "set_typing", room_id=ROOM, is_typing=True, timeout_ms=LONGER)
        wait_for(host, room, 4)
        assert room.said[0] == LONG and set(room.said[1:]) == {LONGER}


def test_a_refusal_is_told_and_forgotten(host: RuntimeHost, room: Room) -> None:
    room.status = 403
    with ScriptedServer(room.script) as server:
        client = host.client(server.url, access_token="t", user_id="@me:localhost")
        for _ in range(2):
            refused = host.refuse(client, "set_typing", room_id=ROOM, is_typing=True)
            assert refused["code"] == "M_FORBIDDEN"
        assert room.said == [30_000, 30_000]
