"""Typing is said again for as long as it is true, and not longer."""

from __future__ import annotations

import threading

import pytest

from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer

ROOM = "!room:localhost"
SECONDS = 20


class Room:
    """A homeserver that keeps who types: `said` are the timeouts, None for the end."""

    def __init__(self) -> None:
        self.said: list[int | None] = []
        self.status = 200
        self._came = threading.Condition()

    def script(self, request: Request) -> Answer:
        if request.path.endswith("/whoami"):
            return Answer({"user_id": "@me:localhost", "device_id": "D"})
        with self._came:
            self.said.append(request.body.get("timeout") if request.body["typing"] else None)
            self._came.notify_all()
        return Answer({} if self.status == 200 else {"errcode": "M_FORBIDDEN"}, self.status)

    def wait_for(self, count: int) -> None:
        with self._came:
            assert self._came.wait_for(lambda: len(self.said) >= count, SECONDS)


@pytest.fixture
def room() -> Room:
    return Room()


def test_it_is_said_again_until_it_is_taken_back(host: RuntimeHost, room: Room) -> None:
    with ScriptedServer(room.script) as server:
        client = host.client(server.url, access_token="t", user_id="@me:localhost")
        host.call(client, "set_typing", room_id=ROOM, is_typing=True, timeout_ms=1000)
        # What is being said is not said once more.
        host.call(client, "set_typing", room_id=ROOM, is_typing=True, timeout_ms=1000)
        assert room.said == [1000]
        room.wait_for(3)
        host.call(client, "set_typing", room_id=ROOM, is_typing=False)
        said = list(room.said)
        assert set(said[:-1]) == {1000} and said[-1] is None
        # In another room, for the time that two refreshes take: nothing comes of the first.
        other = len(said)
        host.call(client, "set_typing", room_id="!other:localhost", is_typing=True, timeout_ms=1500)
        room.wait_for(other + 3)
        assert set(room.said[other:]) == {1500}


def test_it_ends_with_the_room(host: RuntimeHost, room: Room) -> None:
    with ScriptedServer(room.script) as server:
        client = host.client(server.url, access_token="t", user_id="@me:localhost")
        host.call(client, "set_typing", room_id=ROOM, is_typing=True, timeout_ms=1000)
        room.status = 403
        room.wait_for(2)
        room.status = 200
        host.call(client, "set_typing", room_id="!other:localhost", is_typing=True, timeout_ms=1500)
        room.wait_for(5)
        assert room.said[:2] == [1000, 1000] and set(room.said[2:]) == {1500}


def test_it_ends_with_the_client(host: RuntimeHost, room: Room) -> None:
    with ScriptedServer(room.script) as server:
        client = host.client(server.url, access_token="t", user_id="@me:localhost")
        host.call(client, "set_typing", room_id=ROOM, is_typing=True, timeout_ms=1000)
        host.send("close_client", client)
        other = host.client(server.url, access_token="t", user_id="@me:localhost")
        host.call(other, "set_typing", room_id=ROOM, is_typing=True, timeout_ms=1500)
        room.wait_for(4)
        assert room.said == [1000, 1500, 1500, 1500]


def test_a_refusal_is_told_and_forgotten(host: RuntimeHost, room: Room) -> None:
    room.status = 403
    with ScriptedServer(room.script) as server:
        client = host.client(server.url, access_token="t", user_id="@me:localhost")
        for _ in range(2):
            refused = host.refuse(client, "set_typing", room_id=ROOM, is_typing=True)
            assert refused["code"] == "M_FORBIDDEN"
        assert room.said == [30_000, 30_000]
