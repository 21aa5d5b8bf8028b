"""Pages of events: history, relations, threads, context, as the homeserver answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Raw

from libmatrix.api import make_path
from libmatrix.errors import ArgumentError, ResponseError
from libmatrix.messages.content import read_map
from libmatrix.messages.fetched import make_records
from libmatrix.sync.response import require_chunk, salvage

if TYPE_CHECKING:
    from libmatrix.client import Client
    from libmatrix.table_gen import Event

V1 = "/_matrix/client/v1"
MOST_EVENTS = 1_000
# Of relations that are fetched to the end, as the votes of a poll.
_MOST_PAGES = 200

Query = list[tuple[str, str]]

_encode = msgspec.json.Encoder().encode


class _Messages(msgspec.Struct, gc=False):
    chunk: list[Raw] = []
    state: list[Raw] = []
    start: str | None = None
    end: str | None = None


class _Relations(msgspec.Struct, gc=False):
    chunk: list[Raw] = []
    next_batch: str | None = None
    prev_batch: str | None = None


class _Context(msgspec.Struct, gc=False):
    event: Raw = Raw()
    events_before: list[Raw] = []
    events_after: list[Raw] = []
    state: list[Raw] = []
    start: str | None = None
    end: str | None = None


class Page(NamedTuple):
    """Events, and where those before and after them are."""

    events: list[Event]
    state: list[Event]
    start: str | None
    next: str | None


class Context(NamedTuple):
    """An event and those around it, oldest first."""

    event: Event | None
    before: list[Event]
    after: list[Event]
    state: list[Event]
    start: str | None
    end: str | None


def letter(direction: str) -> str:
    """A direction as the client-server API writes it."""
    return direction[0]


def check_limit(name: str, limit: int, least: int = 1) -> str:
    """How many events to ask for. Raises `ArgumentError`."""
    if not least <= limit <= MOST_EVENTS:
        raise ArgumentError(f"{name}: must be {least} to {MOST_EVENTS}")
    return str(limit)


def filter_text(value: Raw) -> str | None:
    """A room event filter as a query holds it."""
    return _encode(read_map("filter", value)).decode() if value else None


async def fetch_page(client: Client, room_id: str, query: Query) -> Page:
    """A page of a room's history."""
    path = make_path("rooms", room_id, "messages")
    user_id = await client.syncer.user_id()
    body = await client.api.call("GET", path, query=query)
    page, broken = salvage(body, _Messages)
    require_chunk(page.chunk, body)
    is_tame = not broken and client.host.bridge.is_tame(body)
    began = dict(query).get("from")
    events = make_records(client, room_id, page.chunk, user_id, is_tame=is_tame)
    state = make_records(client, room_id, page.state, user_id)
    # A homeserver that stays where it was would be asked for ever.
    end = page.end if page.end != began else None
    return Page(events, state, page.start or began, end)


async def fetch_context(client: Client, room_id: str, event_id: str, query: Query) -> Context:
    """An event and those around it."""
    path = make_path("rooms", room_id, "context", event_id)
    user_id = await client.syncer.user_id()
    found, _ = salvage(await client.api.call("GET", path, query=query), _Context)

    def records(raws: list[Raw]) -> list[Event]:
        return make_records(client, room_id, raws, user_id)

    events = records([found.event] if found.event else [])
    return Context(
        events[0] if events else None,
        records(found.events_before[::-1]),
        records(found.events_after),
        records(found.state),
        found.start,
        found.end,
    )


async def fetch_relations(
    client: Client, room_id: str, event_id: str, kind: tuple[str, ...], query: Query
) -> tuple[list[Event], str | None, str | None]:
    """A page of the events that relate to an event, the token of the next, and of the one before.

    `kind` is the relation, or the relation and the events' type, or nothing.
    """
    path = make_path("rooms", room_id, "relations", event_id, *kind, prefix=V1)
    user_id = await client.syncer.user_id()
    body = await client.api.call("GET", path, query=query)
    page, _ = salvage(body, _Relations)
    require_chunk(page.chunk, body)
    return make_records(client, room_id, page.chunk, user_id), page.next_batch, page.prev_batch


async def all_relations(client: Client, room_id: str, event_id: str, relation: str) -> list[Event]:
    """All events with a relation to an event, in no order that can be relied on.

    Raises `ResponseError`.
    """
    found: list[Event] = []
    token: str | None = None
    for _ in range(_MOST_PAGES):
        query = with_some([("limit", "500")], from_=token)
        events, after, _before = await fetch_relations(
            client, room_id, event_id, (relation,), query
        )
        found += events
        if after is None or after == token:
            return found
        token = after
    raise ResponseError("the homeserver's pages of relations do not end")


def with_some(query: Query, **more: Any) -> Query:
    """A query with those of the parameters that are given; `from_` is `from`."""
    extra = [(name.rstrip("_"), value) for name, value in more.items() if value is not None]
    return query + extra
