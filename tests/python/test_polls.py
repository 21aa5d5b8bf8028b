"""Polls: the content of their events, and which votes count."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from libmatrix.errors import ArgumentError
from libmatrix.messages import poll_content
from libmatrix.messages.poll_content import Poll, read_response, read_start
from libmatrix.messages.tally import count_votes
from libmatrix.table_gen import Event

POLL = Poll("tea?", {"1": "green", "2": "black", "3": "white"}, 2, "disclosed")
TYPES = {True: "m.poll.response", False: poll_content.RESPONSE_TYPE}


def vote(sender: str, ts: int, chosen: Any, *, stable: bool = False, name: str = "$v") -> Event:
    key = "m.selections" if stable else poll_content.RESPONSE_TYPE
    content = {key: chosen if stable else {"answers": chosen}}
    raw = Raw(msgspec.json.encode(content))
    return Event(
        kind="history", room_id="!r:x", event_id=f"{name}{ts}", type=TYPES[stable], sender=sender,
        origin_server_ts=ts, is_own=False, is_historic=True, content=raw, raw=raw,
        is_redacted=False, is_filled=False,
    )  # fmt: skip


def test_what_is_sent_is_read() -> None:
    content = poll_content.start("tea?", ["green", "black", "white"], 2, "disclosed")
    assert read_start(content) == POLL
    assert content["org.matrix.msc1767.text"] == "tea?\n1. green\n2. black\n3. white"
    assert read_response(poll_content.response(["2", "1"])) == ["2", "1"]


def test_the_stable_form_is_read() -> None:
    content = {
        "m.text": [{"body": "tea?"}],
        "m.poll": {
            "kind": "m.undisclosed",
            "question": {"m.text": [{"body": "tea?"}]},
            "answers": [
                {"m.id": "g", "m.text": [{"body": "green"}]},
                {"m.id": 3},
                {"m.id": "b", "m.text": [{"mimetype": "text/plain", "body": "black"}]},
                "broken",
            ],
        },
    }
    assert read_start(content) == Poll("tea?", {"g": "green", "b": "black"}, 1, "undisclosed")
    assert read_response({"m.selections": ["g"]}) == ["g"]


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        ([{"mimetype": "text/html", "body": "<b>tea?</b>"}, {"body": "tea?"}], "tea?"),
        ([{"mimetype": "text/html", "body": "<b>"}, {"mimetype": "text/plain", "body": "t"}], "t"),
        # Nothing but that: better than no poll.
        ([{"mimetype": "text/html", "body": "<b>tea?</b>"}], "<b>tea?</b>"),
        ([3, {"body": 3}, {"body": "tea?"}], "tea?"),
        ([], None),
    ],
)
def test_plain_text_is_shown_where_there_is_some(texts: list[Any], shown: str | None) -> None:
    found = read_start({"m.poll": {"question": {"m.text": texts}}})
    assert (found and found.question) == shown


@pytest.mark.parametrize("kind", ["m.disclosed", "org.matrix.msc3381.poll.disclosed", "m.new", 3])
def test_what_is_no_known_kind_shows_less(kind: Any) -> None:
    content = poll_content.start("q", ["a"], 1, "disclosed")
    content[poll_content.START_TYPE] |= {"kind": kind, "max_selections": 0}
    found = read_start(content)
    assert found and found.max_selections == 1
    assert found.kind == ("disclosed" if "disclosed" in str(kind) else "undisclosed")


def test_more_answers_than_20_are_cut_off() -> None:
    content = poll_content.start("q", ["a"] * 20, 1, "disclosed")
    content[poll_content.START_TYPE]["answers"].append({"id": "x", "body": "late"})
    found = read_start(content)
    assert found and len(found.answers) == 20


@pytest.mark.parametrize("content", [{}, {"m.poll": 3}, {poll_content.START_TYPE: {"question": 3}}])
def test_what_is_no_poll(content: dict[str, Any]) -> None:
    assert read_start(content) is None


@pytest.mark.parametrize(
    ("question", "answers", "most"),
    [("", ["a"], 1), ("q", [], 1), ("q", ["a"] * 21, 1), ("q", ["a", " "], 1), ("q", ["a"], 2),
     ("q", ["a"], 0)],
)  # fmt: skip
def test_what_is_refused(question: str, answers: list[str], most: int) -> None:
    with pytest.raises(ArgumentError):
        poll_content.start(question, answers, most, "disclosed")


@pytest.mark.parametrize("stable", [False, True])
@pytest.mark.parametrize(
    ("chosen", "counts"),
    [
        (["1"], ["1"]),
        (["1", "3"], ["1", "3"]),
        (["1", "2", "3"], ["1", "2"]),
        (["1", "1", "3"], ["1"]),
        (["1", "9"], None),
        (["1", "2", "9"], None),
        ([], None),
        (["1", 2], None),
        ("1", None),
        (None, None),
    ],
)
def test_one_vote(chosen: Any, counts: list[str] | None, stable: bool) -> None:
    votes = count_votes(POLL, [vote("@a:x", 5, chosen, stable=stable)], None)
    assert votes == ({} if counts is None else {"@a:x": counts})


def test_the_last_vote_counts_even_if_it_is_spoiled() -> None:
    events = [vote("@a:x", 9, ["2"]), vote("@a:x", 5, ["1"]), vote("@b:x", 5, ["1"])]
    assert count_votes(POLL, events, None) == {"@a:x": ["2"], "@b:x": ["1"]}
    assert count_votes(POLL, [*events, vote("@a:x", 10, ["9"])], None) == {"@b:x": ["1"]}
    assert count_votes(POLL, [*events, vote("@a:x", 10, [])], None) == {"@b:x": ["1"]}
    twice = [vote("@a:x", 5, ["1"], name="$a"), vote("@a:x", 5, ["2"], name="$b")]
    assert count_votes(POLL, twice, None) == {"@a:x": ["2"]} == count_votes(POLL, twice[::-1], None)


def test_votes_after_the_end_never_happened() -> None:
    events = [vote("@a:x", 5, ["1"]), vote("@a:x", 8, ["2"]), vote("@b:x", 7, ["3"])]
    assert count_votes(POLL, events, 7) == {"@a:x": ["1"], "@b:x": ["3"]}
