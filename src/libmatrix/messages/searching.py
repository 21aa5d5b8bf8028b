"""Search at the homeserver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.api import decode, make_path
from libmatrix.errors import BROKEN_JSON, ArgumentError, ResponseError
from libmatrix.messages.content import read_map
from libmatrix.messages.fetched import make_records
from libmatrix.messages.paging import check_limit
from libmatrix.rooms.previews import whole
from libmatrix.sync.response import salvage
from libmatrix.table_gen import SearchMessagesResult, SearchResult

if TYPE_CHECKING:
    from libmatrix.client import Client
    from libmatrix.table_gen import Event, SearchMessagesArguments

_KEYS = ("content.body", "content.name", "content.topic")


class _Context(msgspec.Struct):
    events_before: list[Raw] = []
    events_after: list[Raw] = []
    start: str | None = None
    end: str | None = None


class _Result(msgspec.Struct):
    result: Raw = Raw()
    rank: float | None = None
    context: _Context = msgspec.field(default_factory=_Context)


class _Events(msgspec.Struct):
    results: list[Raw] = []
    count: Any = None
    highlights: list[str] = []
    next_batch: str | None = None


class _Categories(msgspec.Struct):
    room_events: _Events = msgspec.field(default_factory=_Events)


class _Answer(msgspec.Struct):
    search_categories: _Categories


class _Place(msgspec.Struct):
    room_id: str


async def search(client: Client, arguments: SearchMessagesArguments) -> SearchMessagesResult:
    """One page of what was found."""
    criteria = _criteria(arguments)
    path = make_path("search")
    query = [("next_batch", arguments.from_token)] if arguments.from_token is not None else []
    user_id = await client.syncer.user_id()
    body = {"search_categories": {"room_events": criteria}}
    answer = await client.api.call("POST", path, query=query, body=body)
    found = decode(answer, _Answer).search_categories.room_events
    made = [_record(client, index, raw, user_id) for index, raw in enumerate(found.results)]
    return SearchMessagesResult(
        results=[each for each in made if each is not None],
        count=whole(found.count),
        highlights=found.highlights,
        next_batch=found.next_batch,
    )


def _criteria(arguments: SearchMessagesArguments) -> dict[str, Any]:
    filters = read_map("filter", arguments.filter) if arguments.filter else {}
    filters["limit"] = int(check_limit("limit", arguments.limit))
    if arguments.room_ids is not None:
        filters["rooms"] = arguments.room_ids
    if arguments.senders is not None:
        filters["senders"] = arguments.senders
    criteria: dict[str, Any] = {
        "search_term": arguments.text,
        "order_by": arguments.order_by,
        "filter": filters,
        "event_context": {
            "before_limit": int(check_limit("before_limit", arguments.before_limit, 0)),
            "after_limit": int(check_limit("after_limit", arguments.after_limit, 0)),
        },
    }
    if arguments.keys is not None:
        if not set(arguments.keys) <= set(_KEYS):
            raise ArgumentError(f"keys: known are {', '.join(_KEYS)}")
        criteria["keys"] = arguments.keys
    return criteria


def _record(client: Client, index: int, raw: Raw, user_id: str) -> SearchResult | None:
    """One result, with what is sound of its context; None, and a line in the log, for none."""
    try:
        found, _ = salvage(bytes(raw), _Result)
        room_id = msgspec.json.decode(found.result, type=_Place).room_id
    except (ResponseError, *BROKEN_JSON):
        text = f"result {index} of a search was left out: it is none"
        client.log.record("warning", "search", text, "E_MALFORMED_EVENT")
        return None

    def records(raws: list[Raw]) -> list[Event]:
        return make_records(client, room_id, raws, user_id)

    events = records([found.result])
    if not events:
        return None
    return SearchResult(
        rank=found.rank,
        event=events[0],
        events_before=records(found.context.events_before[::-1]),
        events_after=records(found.context.events_after),
        prev_batch=found.context.start,
        next_batch=found.context.end,
    )
