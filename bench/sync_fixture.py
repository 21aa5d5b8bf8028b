"""Workloads rendered beforehand: `big`, one initial sync, and `stream`, many small ones."""

from __future__ import annotations

import json
from typing import Any

from bench.server import OTHER, BenchServer, render

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


class SyncFixture(BenchServer):
    """`with SyncFixture(bodies) as server:`; the one with index N is for `since=sN`."""

    def __init__(self, bodies: list[bytes]) -> None:
        super().__init__()
        self._answers = [render(body) for body in bodies]
        self._idle = render(json.dumps({"next_batch": f"s{len(bodies)}"}).encode())

    async def respond(self, target: str, body: bytes) -> bytes:
        """A sync, or who one is."""
        if "/sync" not in target:
            return OTHER
        since = target.partition("since=s")[2].partition("&")[0]
        index = int(since or 0)
        return self._answers[index] if index < len(self._answers) else self._idle
