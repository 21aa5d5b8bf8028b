"""Workloads rendered beforehand: `big`, one initial sync, and `stream`, many small ones."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

BIG_ROOMS, BIG_EVENTS, BIG_MEMBERS = 2_000, 20, 10
STREAM_SYNCS, STREAM_ROOMS, STREAM_EVENTS = 200, 10, 50
LISTED_ROOMS = 10_000
STREAM_TOTAL = STREAM_SYNCS * STREAM_ROOMS * STREAM_EVENTS


def _content(number: int) -> tuple[str, dict[str, Any]]:
    body = f"{number} ".ljust(80, "b")
    text: dict[str, Any] = {"msgtype": "m.text", "body": body}
    other = {"event_id": f"${number - 1:06d}".ljust(44, "x")}
    kind = number % 10
    if kind == 1:
        return "m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "key": "+", **other}}
    if kind == 2:
        text |= {"format": "org.matrix.custom.html", "formatted_body": f"<p>{body}</p>"}
    elif kind == 3:
        text["m.relates_to"] = {"m.in_reply_to": other}
    elif kind == 4:
        text |= {"m.new_content": dict(text), "m.relates_to": {"rel_type": "m.replace", **other}}
    elif kind == 5:
        info = {"mimetype": "image/png", "size": 12345, "w": 640, "h": 480}
        text |= {"msgtype": "m.image", "url": "mxc://localhost/" + "i" * 24, "info": info}
    return "m.room.message", text


def message(number: int) -> dict[str, Any]:
    """An event as rooms are full of."""
    kind, content = _content(number)
    return {
        "type": kind,
        "event_id": f"${number:06d}".ljust(44, "x"),
        "sender": f"@user{number % 10}:localhost",
        "origin_server_ts": 1_700_000_000_000 + number,
        "content": content,
        "unsigned": {"age": 1000 + number},
    }


def _state(room: int, kind: str, key: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": kind,
        "state_key": key,
        "event_id": f"${kind}{key}{room}".ljust(44, "s"),
        "sender": "@user0:localhost",
        "origin_server_ts": 1_600_000_000_000 + room,
        "content": content,
    }


def _states(room: int) -> list[dict[str, Any]]:
    levels = {"users": {"@user0:localhost": 100}, "users_default": 0, "events": {}}
    found = [
        _state(room, "m.room.create", "", {"room_version": "11"}),
        _state(room, "m.room.name", "", {"name": f"Room {room}"}),
        _state(room, "m.room.topic", "", {"topic": "t" * 60}),
        _state(room, "m.room.power_levels", "", levels),
        _state(room, "m.room.join_rules", "", {"join_rule": "invite"}),
        _state(room, "m.room.history_visibility", "", {"history_visibility": "shared"}),
    ]
    for number in range(BIG_MEMBERS):
        content = {"membership": "join", "displayname": f"User {number}"}
        found.append(_state(room, "m.room.member", f"@user{number}:localhost", content))
    return found


def _room(events: list[dict[str, Any]], states: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "state": {"events": states},
        "timeline": {"events": events, "limited": False, "prev_batch": "p"},
        "summary": {"m.joined_member_count": BIG_MEMBERS},
        "unread_notifications": {"notification_count": 1, "highlight_count": 0},
        "account_data": {"events": []},
        "ephemeral": {"events": []},
    }


def _body(token: str, rooms: dict[str, Any]) -> bytes:
    return json.dumps({"next_batch": token, "rooms": {"join": rooms}}).encode()


def big() -> list[bytes]:
    """One initial sync."""
    rooms = {}
    for room in range(BIG_ROOMS):
        first = room * BIG_EVENTS
        events = [message(first + number) for number in range(BIG_EVENTS)]
        rooms[f"!room{room}:localhost"] = _room(events, _states(room))
    return [_body("s1", rooms)]


def many_rooms() -> list[bytes]:
    """One initial sync with many rooms of which little is known; every fifth has a tag."""
    tags = [{"type": "m.tag", "content": {"tags": {"u.work": {"order": 0.5}}}}]
    rooms = {}
    for room in range(LISTED_ROOMS):
        alias = {"alias": f"#room{room}:localhost"}
        made = _room([], [*_states(room)[:3], _state(room, "m.room.canonical_alias", "", alias)])
        made["account_data"]["events"] = [] if room % 5 else tags
        rooms[f"!room{room}:localhost"] = made
    return [_body("s1", rooms)]


def stream() -> list[bytes]:
    """Many syncs with events in the same rooms."""
    bodies = []
    for sync in range(STREAM_SYNCS):
        rooms = {}
        for room in range(STREAM_ROOMS):
            first = (sync * STREAM_ROOMS + room) * STREAM_EVENTS
            events = [message(first + number) for number in range(STREAM_EVENTS)]
            rooms[f"!room{room}:localhost"] = _room(events, [])
        bodies.append(_body(f"s{sync + 1}", rooms))
    return bodies


class SyncFixture:
    """`with SyncFixture(bodies) as url:`; the body for `since=sN` is the one with index N."""

    def __init__(self, bodies: list[bytes]) -> None:
        self.answers = [render_answer(body) for body in bodies]
        self._idle = render_answer(json.dumps({"next_batch": f"s{len(bodies)}"}).encode())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(content_length(head))
                target = head.split(b" ", 2)[1]
                writer.write(self.answer(target))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    def answer(self, target: bytes) -> bytes:
        """What a request for this target is answered."""
        if b"/sync" not in target:
            return OTHER
        _, _, since = target.partition(b"since=s")
        index = int(since.split(b"&")[0] or b"0")
        return self.answers[index] if index < len(self.answers) else self._idle


def content_length(head: bytes) -> int:
    """The length of the body that follows a request's head."""
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n")[0] or b"0")


def render_answer(body: bytes) -> bytes:
    """An HTTP answer with this JSON."""
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


# To all else that a client asks before it syncs: who it is, its filter, its rooms, what the
# homeserver can.
OTHER = render_answer(
    b'{"user_id":"@bench:localhost","filter_id":"1","joined_rooms":[],"versions":["v1.11"]}'
)
