"""The floor: fetches, decodes into typed structs, calls a function for each event; no more."""

import sys
import time
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import msgspec
from peak import peak_mib


class Event(msgspec.Struct, gc=False):
    type: str
    event_id: str
    sender: str
    origin_server_ts: int
    content: dict[str, Any]
    state_key: str | None = None


class Events(msgspec.Struct, gc=False):
    events: list[Event] = []


class Room(msgspec.Struct, gc=False):
    timeline: Events = msgspec.field(default_factory=Events)
    state: Events = msgspec.field(default_factory=Events)


class Rooms(msgspec.Struct, gc=False):
    join: dict[str, Room] = {}


class Sync(msgspec.Struct, gc=False):
    next_batch: str
    rooms: Rooms = msgspec.field(default_factory=Rooms)


got = 0


def on_event(_event: Event) -> None:
    global got
    got += 1


def main(url: str, wanted: int) -> None:
    connection = HTTPConnection(urlsplit(url).netloc)
    decode = msgspec.json.Decoder(Sync).decode
    start, since = time.perf_counter(), ""
    while got < wanted:
        connection.request("GET", "/_matrix/client/v3/sync" + since)
        sync = decode(connection.getresponse().read())
        since = f"?since={sync.next_batch}"
        for room in sync.rooms.join.values():
            for event in room.timeline.events:
                on_event(event)
    seconds = time.perf_counter() - start
    print(f'{{"seconds":{seconds:.4f},"mib":{peak_mib():.1f}}}')


main(sys.argv[1], int(sys.argv[2]))
