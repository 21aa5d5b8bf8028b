"""The ends of threads, as hostile events tell of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from libmatrix.messages.thread_ends import ThreadEnds


def event(event_id: Any, relation: Any, **more: Any) -> Raw:
    content = {"body": "x", "m.relates_to": relation}
    return Raw(json.dumps({"event_id": event_id, "content": content, **more}).encode())


def thread(event_id: Any) -> dict[str, Any]:
    return {"rel_type": "m.thread", "event_id": event_id}


def test_the_newest_is_kept() -> None:
    ends = ThreadEnds()
    ends.see("!a", [event("$1", thread("$root")), event("$2", thread("$root"))])
    ends.see("!b", [event("$3", thread("$root"))])
    assert ends.newest("!a", "$root") == "$2"
    assert ends.newest("!b", "$root") == "$3"
    assert ends.newest("!a", "$other") is None


@pytest.mark.parametrize(
    "raw",
    [
        event("$2", thread(7)),
        event("$2", thread(None)),
        event(7, thread("$root")),
        event("$2", thread("$root"), state_key=""),
        event("$2", {"rel_type": ["m.thread"], "event_id": "$root"}),
        event("$2", "m.thread"),
        event("$2", {"rel_type": "m.replace", "event_id": "$root", "x": "m.thread"}),
        Raw(b'{"event_id":"$2","content":["m.thread"]}'),
        Raw(b'{"event_id":"$2","content":{"m.relates_to":' + b"[" * 5_000 + b'"m.thread"'),
        Raw(b'{"event_id":"$\\ud800","content":{"m.relates_to":{"rel_type":"m.thread"}}}'),
        Raw(b'{"event_id":"\xff","content":{"m.relates_to":{"rel_type":"m.thread"}}}'),
    ],
)
def test_what_is_malformed_is_passed_over(raw: Raw) -> None:
    ends = ThreadEnds()
    ends.see("!a", [event("$1", thread("$root")), raw])
    assert ends.newest("!a", "$root") == "$1"


def test_only_some_threads_are_kept() -> None:
    ends = ThreadEnds()
    for number in range(1_025):
        ends.see("!a", [event(f"$e{number}", thread(f"$root{number}"))])
    assert ends.newest("!a", "$root0") is None
    assert ends.newest("!a", "$root1") == "$e1"
