"""A homeserver that answers login and sync at once with bodies made beforehand, on loopback."""

from __future__ import annotations

import asyncio
import json
import threading
from types import TracebackType

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


class Fixture:
    """`with Fixture(rooms, events) as url:`; runs on a thread of its own."""

    def __init__(self, rooms: int = 20, events: int = 10) -> None:
        self._login = json.dumps(LOGIN).encode()
        self._versions = json.dumps({"versions": ["v1.11"]}).encode()
        self._sync = sync_body(rooms, events)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.url = ""

    def __enter__(self) -> str:
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self.url

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                for line in head.split("\r\n"):
                    if line.lower().startswith("content-length:"):
                        await reader.readexactly(int(line.split(":")[1]))
                writer.write(self._answer(head.split(" ")[1]))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, path: str) -> bytes:
        body = b"{}"
        if "/login" in path:
            body = self._login
        elif "/sync" in path:
            body = self._sync
        elif "/versions" in path:
            body = self._versions
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
