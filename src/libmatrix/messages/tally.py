"""Counting the votes of a poll."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from libmatrix.errors import ArgumentError
from libmatrix.events.record import ENCRYPTED, came_encrypted
from libmatrix.messages.edits import is_valid
from libmatrix.messages.fetched import bundled, content_of, fetch_original, make_records
from libmatrix.messages.paging import all_relations
from libmatrix.messages.poll_content import END, RESPONSE, START, Poll, read_response, read_start
from libmatrix.rooms.permissions import read_permissions

if TYPE_CHECKING:
    from libmatrix.client import Client
    from libmatrix.table_gen import Event


class Tally(NamedTuple):
    """A poll as it stands: the ids that each user chose."""

    poll: Poll
    start: Event
    votes: dict[str, list[str]]
    ended_ts: int | None
    undecrypted: int


async def find_poll(client: Client, room_id: str, event_id: str) -> tuple[Event, Poll]:
    """The start of a poll, and what it asks now. Raises `ArgumentError`."""
    event = await fetch_original(client, room_id, event_id)
    poll = read_start(content_of(event)) if event.type in START else None
    if poll is None:
        raise ArgumentError("event_id: it is no poll")
    raw = bundled(event, "m.replace")
    for edit in make_records(client, room_id, [raw] if raw is not None else [], event.sender):
        if is_valid(event, edit):
            poll = read_start(content_of(edit)) or poll
    return event, poll


async def count(client: Client, room_id: str, event_id: str) -> Tally:
    """Fetches a poll with all that was said to it, and counts."""
    start, poll = await find_poll(client, room_id, event_id)
    found = await all_relations(client, room_id, start.event_id, "m.reference")
    if came_encrypted(start):
        # Else the homeserver could vote for everybody.
        found = [event for event in found if came_encrypted(event)]
    ended_ts = await _ended_ts(client, room_id, start, found)
    votes = count_votes(poll, found, ended_ts)
    undecrypted = sum(event.type == ENCRYPTED for event in found)
    return Tally(poll, start, votes, ended_ts, undecrypted)


def count_votes(poll: Poll, events: list[Event], ended_ts: int | None) -> dict[str, list[str]]:
    """What each user chose: the last vote up to the end, also when it is spoiled."""
    last: dict[str, Event] = {}
    for event in events:
        if event.type not in RESPONSE or event.state_key is not None or event.is_redacted:
            continue
        if ended_ts is not None and event.origin_server_ts > ended_ts:
            continue
        known = last.get(event.sender)
        if known is None or _moment(known) < _moment(event):
            last[event.sender] = event
    votes = {}
    for sender, event in last.items():
        chosen = _chosen(poll, read_response(content_of(event)))
        if chosen:
            votes[sender] = chosen
    return votes


def _moment(event: Event) -> tuple[int, str]:
    return event.origin_server_ts, event.event_id


def _chosen(poll: Poll, selections: list[str] | None) -> list[str]:
    """What a vote counts for. An answer that is unknown spoils all of it."""
    if not selections or not poll.answers.keys() >= set(selections):
        return []
    return list(dict.fromkeys(selections[: poll.max_selections]))


async def _ended_ts(client: Client, room_id: str, start: Event, events: list[Event]) -> int | None:
    """When the poll ended; who did not start it ends it only with the right to redact."""
    ends = sorted((event for event in events if event.type in END), key=_moment)
    for event in ends:
        if event.is_redacted or event.state_key is not None:
            continue
        if event.sender == start.sender or await may_end(client, room_id, event.sender):
            return event.origin_server_ts
    return None


async def may_end(client: Client, room_id: str, user_id: str) -> bool:
    """Whether a user may end the polls of others."""
    rules = await read_permissions(client, room_id)
    level = rules.level(user_id)
    return level is None or level >= rules.to_do("redact")
