"""Limited timelines: what a sync left out of a room is fetched, for those who want all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from libmatrix.api import make_path
from libmatrix.errors import BROKEN_JSON, MatrixError, ResponseError
from libmatrix.sync.response import JoinedRoom, LeftRoom, SyncResponse, require_chunk, salvage

if TYPE_CHECKING:
    from libmatrix.client import Client

_PAGE = 100
# For each gap; and for all gaps of a sync, so that memory is bounded too.
_MOST_EVENTS = 1_000
_MOST_IN_ALL = 10_000
# Pages of a gap without an event, as of users who are ignored.
_MOST_EMPTY = 100


class _Page(msgspec.Struct, gc=False):
    chunk: list[Raw] = []
    end: str | None = None


class _Id(msgspec.Struct, gc=False):
    event_id: str = ""


async def fill_gaps(
    client: Client, response: SyncResponse, since: str | None
) -> dict[str, list[Raw]]:
    """The events that are missing before each room's timeline, oldest first.

    A homeserver that is not there raises, so that the sync is asked for again; one that refuses
    leaves the gap, which is logged.
    """
    found: dict[str, list[Raw]] = {}
    if since is None or not client.subscriptions.fillers:
        return found
    in_all = 0
    # Also what was said before the user left.
    rooms: list[tuple[str, JoinedRoom | LeftRoom]]
    rooms = [*response.rooms.join.items(), *response.rooms.leave.items()]
    for room_id, news in rooms:
        if not _is_wanted(client, room_id, news):
            continue
        if in_all >= _MOST_IN_ALL:
            _warn(client, room_id, f"a gap stays: {_MOST_IN_ALL} events filled others")
            continue
        try:
            found[room_id] = await _fill(client, room_id, news, since)
        except MatrixError as error:
            if not _is_refusal(error):
                raise
            _warn(client, room_id, f"a gap stays: {error}", error.code)
            continue
        in_all += len(found[room_id])
    return found


def _is_refusal(error: MatrixError) -> bool:
    """Whether asking again would change nothing."""
    status = error.http_status
    if status is None:
        return isinstance(error, ResponseError)
    return 400 <= status < 500 and status not in (401, 429)


def _is_wanted(client: Client, room_id: str, news: JoinedRoom | LeftRoom) -> bool:
    """Whether there is a gap between what was known and the timeline, and somebody who minds."""
    if not news.timeline.limited or not news.timeline.prev_batch:
        return False
    room = client.state.rooms.get(room_id)
    if room is None or room.membership != "join":
        return False
    return any(wish.room_id in (None, room_id) for wish in client.subscriptions.fillers)


async def _fill(client: Client, room_id: str, news: JoinedRoom | LeftRoom, since: str) -> list[Raw]:
    """Pages backwards to the sync before, or to the last event that it had."""
    last_known = client.state.rooms[room_id].last_event_id
    start: str | None = news.timeline.prev_batch
    path = make_path("rooms", room_id, "messages")
    events: list[Raw] = []
    empty = 0
    while start and len(events) < _MOST_EVENTS and empty < _MOST_EMPTY:
        query = [("dir", "b"), ("from", start), ("to", since), ("limit", str(_PAGE))]
        body = await client.api.call("GET", path, query=query)
        page, _ = salvage(body, _Page)
        require_chunk(page.chunk, body)
        for raw in page.chunk:
            if last_known is not None and _id(raw) == last_known:
                return events[::-1]
            events.append(raw)
        empty += not page.chunk
        start = page.end if page.end != start else None
    if start:
        del events[_MOST_EVENTS:]
        large = f"{_MOST_EMPTY} empty pages" if empty == _MOST_EMPTY else f"{_MOST_EVENTS} events"
        _warn(client, room_id, f"a gap is larger than {large}; older events were left out")
    return events[::-1]


def _warn(client: Client, room_id: str, text: str, code: str | None = None) -> None:
    client.log.record("warning", "sync", f"{room_id}: {text}", code)


def _id(raw: Raw) -> str:
    try:
        return msgspec.json.decode(raw, type=_Id).event_id
    except BROKEN_JSON:
        return ""
