"""What was said before: single events, pages of history, relations, threads, cursors, search."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from libmatrix.api import decode, make_path
from libmatrix.client import Client
from libmatrix.errors import BROKEN_JSON, ArgumentError, HomeserverError
from libmatrix.messages import cursors
from libmatrix.messages.cursors import Cursor
from libmatrix.messages.edits import is_valid
from libmatrix.messages.fetched import bundled, fetch_original, make_records, malformed
from libmatrix.messages.fetched import fetch_event as fetch
from libmatrix.messages.paging import (
    V1,
    all_relations,
    check_limit,
    fetch_context,
    fetch_page,
    fetch_relations,
    filter_text,
    letter,
    with_some,
)
from libmatrix.messages.searching import search
from libmatrix.rooms.state_events import checked
from libmatrix.sync.response import require_chunk, salvage
from libmatrix.table_gen import (
    CloseCursorArguments,
    CloseCursorResult,
    EditHistoryArguments,
    EditHistoryResult,
    Event,
    EventContextArguments,
    EventContextResult,
    FetchEventArguments,
    FetchEventResult,
    HistoryArguments,
    HistoryResult,
    OpenCursorArguments,
    OpenCursorResult,
    ReadCursorArguments,
    ReadCursorResult,
    RelationsArguments,
    RelationsResult,
    SearchMessagesArguments,
    SearchMessagesResult,
    Thread,
    ThreadsArguments,
    ThreadsResult,
    TimestampToEventArguments,
    TimestampToEventResult,
)


class _Moment(msgspec.Struct):
    event_id: str
    origin_server_ts: int


class _Threads(msgspec.Struct):
    chunk: list[Raw] = []
    next_batch: str | None = None


class _Thread(msgspec.Struct):
    latest_event: Raw = Raw()
    count: int = 0
    current_user_participated: bool = False


async def fetch_event(client: Client, arguments: FetchEventArguments) -> FetchEventResult:
    """One event."""
    return FetchEventResult(event=await fetch(client, arguments.room_id, arguments.event_id))


async def event_context(client: Client, arguments: EventContextArguments) -> EventContextResult:
    """An event and those around it."""
    query = with_some(
        [("limit", check_limit("limit", arguments.limit, 0))], filter=filter_text(arguments.filter)
    )
    found = await fetch_context(client, arguments.room_id, arguments.event_id, query)
    if found.event is None:
        raise malformed()
    return EventContextResult(
        event=found.event,
        events_before=found.before,
        events_after=found.after,
        state=found.state,
        prev_batch=found.start,
        next_batch=found.end,
    )


async def history(client: Client, arguments: HistoryArguments) -> HistoryResult:
    """A page of a room's history."""
    query = with_some(
        [("dir", letter(arguments.direction)), ("limit", check_limit("limit", arguments.limit))],
        from_=arguments.from_token,
        to=arguments.to_token,
        filter=filter_text(arguments.filter),
    )
    page = await fetch_page(client, arguments.room_id, query)
    return HistoryResult(
        events=page.events, state=page.state, prev_batch=page.start or "", next_batch=page.next
    )


async def timestamp_to_event(
    client: Client, arguments: TimestampToEventArguments
) -> TimestampToEventResult:
    """The event nearest to a moment."""
    room_id, direction = arguments.room_id, arguments.direction
    found = await _at_moment(client, room_id, arguments.timestamp, direction)
    return TimestampToEventResult(event_id=found.event_id, origin_server_ts=found.origin_server_ts)


async def _at_moment(client: Client, room_id: str, timestamp: int, direction: str) -> _Moment:
    path = make_path("rooms", room_id, "timestamp_to_event", prefix=V1)
    query = [("ts", str(timestamp)), ("dir", letter(direction))]
    return decode(bytes(checked(await client.api.call("GET", path, query=query))), _Moment)


async def relations(client: Client, arguments: RelationsArguments) -> RelationsResult:
    """A page of what relates to an event."""
    kind = tuple(part for part in (arguments.rel_type, arguments.event_type) if part is not None)
    if arguments.event_type is not None and arguments.rel_type is None:
        raise ArgumentError("event_type: only together with rel_type")
    query = with_some(
        [("dir", letter(arguments.direction)), ("limit", check_limit("limit", arguments.limit))],
        from_=arguments.from_token,
        to=arguments.to_token,
        recurse="true" if arguments.recurse else None,
    )
    events, next_batch, prev_batch = await fetch_relations(
        client, arguments.room_id, arguments.event_id, kind, query
    )
    return RelationsResult(events=events, next_batch=next_batch, prev_batch=prev_batch)


async def edit_history(client: Client, arguments: EditHistoryArguments) -> EditHistoryResult:
    """A message and its edits."""
    room_id = arguments.room_id
    event = await fetch_original(client, room_id, arguments.event_id)
    found = await all_relations(client, room_id, event.event_id, "m.replace")
    edits = [edit for edit in found if is_valid(event, edit)]
    # The order that decides which edit is the newest.
    edits.sort(key=lambda edit: (edit.origin_server_ts, edit.event_id))
    return EditHistoryResult(event=event, edits=edits)


async def threads(client: Client, arguments: ThreadsArguments) -> ThreadsResult:
    """A page of a room's threads."""
    room_id = arguments.room_id
    query = with_some(
        [
            ("include", "participated" if arguments.participated else "all"),
            ("limit", check_limit("limit", arguments.limit)),
        ],
        from_=arguments.from_token,
    )
    path = make_path("rooms", room_id, "threads", prefix=V1)
    user_id = await client.syncer.user_id()
    body = await client.api.call("GET", path, query=query)
    page, _ = salvage(body, _Threads)
    require_chunk(page.chunk, body)
    roots = make_records(client, room_id, page.chunk, user_id)
    made = [_thread(client, room_id, root, user_id) for root in roots]
    return ThreadsResult(threads=made, next_batch=page.next_batch)


def _thread(client: Client, room_id: str, root: Event, user_id: str) -> Thread:
    raw = bundled(root, "m.thread")
    try:
        told = msgspec.json.decode(raw, type=_Thread) if raw is not None else _Thread()
    except BROKEN_JSON:
        told = _Thread()
    latest = make_records(
        client, room_id, [told.latest_event] if told.latest_event else [], user_id
    )
    return Thread(
        event=root,
        latest_event=latest[0] if latest else None,
        count=told.count,
        has_participated=told.current_user_participated,
    )


async def open_cursor(client: Client, arguments: OpenCursorArguments) -> OpenCursorResult:
    """Opens a cursor and says where it begins."""
    client.require_login()
    places = (arguments.from_token, arguments.event_id, arguments.timestamp)
    if sum(place is not None for place in places) > 1:
        raise ArgumentError("from_token: only one of this, event_id and timestamp can be given")
    size = arguments.page_size
    if size is not None:
        check_limit("page_size", size)
    room_id, direction = arguments.room_id, arguments.direction
    cursor = Cursor(client, room_id, direction, size, filter_text(arguments.filter))
    if arguments.event_id is not None:
        await cursor.begin_with(arguments.event_id)
    elif arguments.timestamp is not None:
        try:
            moment = await _at_moment(client, room_id, arguments.timestamp, direction)
        except HomeserverError as error:
            if error.code != "M_NOT_FOUND":
                raise
            cursor.begin_at_end()
        else:
            await cursor.begin_with(moment.event_id)
    else:
        cursor.begin_at(arguments.from_token)
    return OpenCursorResult(cursor=cursors.add(client, cursor))


async def read_cursor(client: Client, arguments: ReadCursorArguments) -> ReadCursorResult:
    """The next page of a cursor."""
    client.require_login()
    reading = await cursors.find(client, arguments.cursor).read()
    return ReadCursorResult(
        events=reading.events, is_at_end=reading.next is None, next_batch=reading.next
    )


async def close_cursor(client: Client, arguments: CloseCursorArguments) -> CloseCursorResult:
    """Closes a cursor."""
    return CloseCursorResult(was_open=cursors.remove(client, arguments.cursor))


async def search_messages(
    client: Client, arguments: SearchMessagesArguments
) -> SearchMessagesResult:
    """Searches at the homeserver."""
    return await search(client, arguments)
