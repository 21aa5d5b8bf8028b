"""Messages of every size around the limit of events, whatever they are made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.driver import Driver, driver
from tests.support.homeserver import Homeserver
from tests.support.rooms import V3
from tests.support.scenario import Scene, make_scene

pytestmark = pytest.mark.homeserver

LIMIT = 65_536
# Where buffers end, and where the size is first looked at closely.
SMALLER = [edge + step for edge in (4_096, 16_384, 32_768, 57_344) for step in (-1, 0, 1)]
# How many sizes are tried on each side of a limit.
AROUND = 16
# A piece of text as Lua writes it, as Python does, and the bytes that JSON needs for it.
PIECES = {
    "one byte": ("x", "x", 1),
    "two bytes": ("\\195\\169", "\u00e9", 2),
    "three bytes": ("\\226\\130\\172", "\u20ac", 3),
    "four bytes": ("\\240\\159\\152\\128", "\U0001f600", 4),
    "a quotation mark": ("\\034", '"', 2),
    "the end of a line": ("\\n", "\n", 2),
    "NUL": ("\\0", "\0", 6),
}


class Sender:
    """Sends texts of many pieces into a room."""

    def __init__(self, host: Driver, room_id: str, piece: str) -> None:
        self._host = host
        self._room_id = room_id
        self._piece = piece

    def send(self, count: int, end: str = "") -> dict[str, Any]:
        line = f"client:send_text(%s, string.rep('{self._piece}', {count}) .. '{end}')"
        return self._host.do(line, self._room_id)

    def code(self, count: int) -> str:
        """What becomes of so many pieces: an error's code, or nothing."""
        answer = self.send(count)
        return "" if answer["ok"] else str(answer["error"]["code"])


def highest(is_taken: Callable[[int], bool], low: int, high: int) -> int:
    """The highest number that is taken; `low` is, and `high` is not."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_taken(middle) else (low, middle)
    return low


def around(count: int) -> Iterator[int]:
    return iter(range(count - AROUND, count + AROUND + 1))


def body_of(server: Homeserver, scene: Scene, event_id: str) -> str:
    """A message as the homeserver gives it to the other user."""
    path = f"{V3}/rooms/{quote(scene.room_id)}/event/{quote(event_id)}"
    return str(server.request("GET", path, scene.bob.token)["content"]["body"])


@pytest.mark.parametrize("name", PIECES)
def test_every_size_around_the_limits(stage: Path, homeserver: Homeserver, name: str) -> None:
    """Ours is exact; the homeserver's is a little lower, by what it adds. What follows goes on."""
    scene = make_scene(homeserver)
    piece, text, size = PIECES[name]
    with driver(stage, homeserver, scene.alice) as host:
        sender = Sender(host, scene.room_id, piece)
        # What is too large says how large it is, so that the rest can be reckoned.
        message = sender.send(LIMIT // size)["error"]["message"]
        found = re.search(r"the event has (\d+) bytes", message)
        assert found, message
        over = int(found[1]) - LIMIT
        ours = LIMIT // size - -(-over // size)
        for count in around(ours):
            assert sender.code(count) == ("M_TOO_LARGE" if count <= ours else "E_TOO_LARGE")
        theirs = highest(lambda count: not sender.code(count), ours - 4_000 // size, ours)
        arrived, refused = [], []
        smaller = sorted({edge // size for edge in SMALLER})
        for count in (1, *smaller, *around(theirs)):
            answer = sender.send(count, "end")
            if answer["ok"]:
                arrived.append(count)
                assert body_of(homeserver, scene, answer["event_id"]) == text * count + "end"
            else:
                refused.append(count)
                assert answer["error"]["code"] == "M_TOO_LARGE"
        # Its own part grows by a byte here and there, as the room does.
        assert arrived and refused and max(arrived) <= min(refused) + 4
        assert sender.send(0, "after all")["ok"]


@pytest.mark.parametrize("name", ["one byte", "four bytes"])
def test_every_size_where_messages_are_encrypted(
    stage: Path, homeserver: Homeserver, name: str
) -> None:
    """Counted is what goes out: what is too large then is told, and nothing waits behind it."""
    alice, bob = homeserver.account(), homeserver.account()
    piece, text, size = PIECES[name]
    create = "client:create_room({ encrypted = true, invite = { %s } })"
    with driver(stage, homeserver, alice) as host, driver(stage, homeserver, bob) as reader:
        room_id = host.get(create, bob.user_id)["room_id"]
        reader.get("client:join_room(%s)", room_id)
        reader.sync()
        host.sync()
        sender = Sender(host, room_id, piece)
        assert sender.code(60_000 // size) == "E_TOO_LARGE"
        ours = highest(lambda n: sender.code(n) != "E_TOO_LARGE", 40_000 // size, 60_000 // size)
        for count in range(ours - 6, ours + 7):
            assert (sender.code(count) == "E_TOO_LARGE") == (count > ours)
        theirs = highest(lambda count: not sender.code(count), 40_000 // size, ours + 1)
        sent = sender.send(theirs - 8)["event_id"]
        reader.sync()
        event = reader.get("client:fetch_event(%s, %s)", room_id, sent)["event"]
        assert event["body"] == text * (theirs - 8)
        assert sender.send(0, "after all")["ok"]


def test_sizes_of_what_is_no_message(stage: Path, homeserver: Homeserver) -> None:
    """State, reasons, edits and events of other types have the same limit."""
    scene = make_scene(homeserver)
    with driver(stage, homeserver, scene.alice) as host:
        event_id = host.get("client:send_text(%s, 'small')", scene.room_id)["event_id"]
        large = f"string.rep('x', {LIMIT})"
        # An edit holds its text twice.
        half = f"string.rep('x', {LIMIT // 2})"
        lines = {
            f"client:set_room_name(%s, {large})": (),
            f"client:send_state_event(%s, 'm.x', {{ x = {large} }})": (),
            f"client:send_event(%s, 'm.x', {{ x = {large} }})": (),
            f"client:send_location(%s, {large}, 'geo:1,2')": (),
            f"client:start_poll(%s, {large}, {{ 'x' }})": (),
            f"client:redact(%s, %s, {{ reason = {large} }})": (event_id,),
            f"client:edit_message(%s, %s, {half})": (event_id,),
            f"client:send_reply(%s, %s, {large})": (event_id,),
        }
        for line, more in lines.items():
            answer = host.do(line, scene.room_id, *more)
            assert answer["error"]["code"] == "E_TOO_LARGE", line
        answer = host.do("client:send_text(%s, string.rep('x', 10000000))", scene.room_id)
        assert answer["error"]["code"] == "E_TOO_LARGE"
        assert host.get("client:edit_message(%s, %s, 'fits')", scene.room_id, event_id)["event_id"]
