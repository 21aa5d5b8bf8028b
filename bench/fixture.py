"""A homeserver that answers login and sync at once with bodies made beforehand, on loopback."""

from __future__ import annotations

import json

from bench.server import OTHER, BenchServer, render

LOGIN = {
    "user_id": "@bench:localhost",
    "device_id": "BENCH",
    "access_token": "token",
    "home_server": "localhost",
}


def message(room: int, number: int) -> dict[str, object]:
    return {
        "type": "m.room.message",
        "event_id": f"${room:05d}{number:06d}" + "x" * 32,
        "sender": f"@user{number % 10}:localhost",
        "origin_server_ts": 1_700_000_000_000 + number,
        "content": {"msgtype": "m.text", "body": "b" * 80},
        "unsigned": {"age": 1},
    }


def state(room: int) -> list[dict[str, object]]:
    common = {"sender": "@user0:localhost", "origin_server_ts": 1, "state_key": ""}
    name = {"type": "m.room.name", "content": {"name": f"Room {room}"}, "event_id": f"$n{room}"}
    create = {"type": "m.room.create", "content": {"room_version": "11"}, "event_id": f"$c{room}"}
    return [{**common, **create}, {**common, **name}]


def sync_body(rooms: int, events: int) -> bytes:
    join = {
        f"!room{room}:localhost": {
            "state": {"events": state(room)},
            "timeline": {
                "events": [message(room, number) for number in range(events)],
                "limited": False,
                "prev_batch": "p",
            },
            "summary": {"m.joined_member_count": 2},
            "unread_notifications": {"notification_count": 0, "highlight_count": 0},
        }
        for room in range(rooms)
    }
    return json.dumps({"next_batch": "s1", "rooms": {"join": join}}).encode()


class Fixture(BenchServer):
    """`with Fixture(rooms, events) as server:`"""

    def __init__(self, rooms: int = 20, events: int = 10) -> None:
        super().__init__()
        self._login = render(json.dumps(LOGIN).encode())
        self._sync = render(sync_body(rooms, events))

    async def respond(self, target: str, body: bytes) -> bytes:
        """A login or a sync."""
        if "/login" in target:
            return self._login
        return self._sync if "/sync" in target else OTHER
