"""The record `event` is made by the core and in Python: of the same event the same record."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw
from test_core import build_program

from libmatrix import frames
from libmatrix.events.head import MalformedEventError
from libmatrix.events.record import Marks
from tests.support.records import make_event

ROOM, ME = "!r:ü", "@me:x"
TYPES = ["m.room.message", "m.reaction", "m.room.redaction", "m.room.member", "m.x", ""]
RELATIONS = ["m.thread", "m.replace", "m.annotation", "m.reference", ""]

Pairs = list[tuple[str, Any]]
odd: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "text", 'a"\\\n\u0000é👋', [], [1, {"a": None}], {}, {"body": 7}]
)


def may(*strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*strategies, odd)


def pairs(twice: bool = True, **members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object of some of these, in any order, perhaps also twice."""
    names = {name.replace("__", "."): value for name, value in members.items()}
    one = st.one_of([st.tuples(st.just(name), value) for name, value in names.items()])
    unique = None if twice else (lambda pair: pair[0])
    return st.lists(one, max_size=len(names) + 2, unique_by=unique).map(Object)


class Object:
    """A JSON object whose members are written as they are."""

    def __init__(self, members: Pairs) -> None:
        self.members = members


def write(value: Any, space: str) -> str:
    if isinstance(value, Object):
        parts = [f"{json.dumps(key)}{space}:{write(each, space)}" for key, each in value.members]
        return "{" + space + f"{space},{space}".join(parts) + "}"
    return json.dumps(value, ensure_ascii=bool(space))


text = st.sampled_from(["$a", "@me:x", "hi", "ü\\u0041"])
# What is there twice and wrong the first time would make all of it none, in Python only.
relation = pairs(
    False,
    rel_type=may(st.sampled_from(RELATIONS)),
    event_id=may(text),
    key=may(text),
    is_falling_back=may(st.booleans()),
    m__in_reply_to=may(pairs(False, event_id=may(text))),
)
content = pairs(
    body=may(text),
    msgtype=may(text),
    membership=may(text),
    redacts=may(text),
    m__relates_to=may(relation),
    m__new_content=may(pairs(body=may(text))),
)
unsigned = pairs(transaction_id=may(text), prev_content=may(content), redacted_because=odd)
optional = pairs(
    unsigned=may(unsigned),
    redacts=may(text),
    state_key=st.sampled_from([None, "", "@a:x"]),
    origin_server_ts=st.integers(-(1 << 63), (1 << 63) - 1),
    event_id=text,
    content=content,
)


@st.composite
def events(draw: st.DrawFn) -> bytes:
    needed: Pairs = [
        ("type", draw(st.sampled_from(TYPES))),
        ("event_id", draw(text)),
        ("sender", draw(st.sampled_from([ME, "@a:x"]))),
        ("content", draw(content)),
    ]
    members = draw(st.permutations(needed + draw(optional).members))
    return write(Object(members), draw(st.sampled_from(["", " \n\t"]))).encode()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_program("test_runs", "plain", tmp_path_factory.mktemp("runs"))


def records_of_core(program: Path, raws: list[bytes], folder: Path) -> list[tuple[Any, Any]]:
    deliveries = [part for place in range(len(raws)) for part in (0, place)]
    _, parts = frames.run(0, 0, ROOM, ME, deliveries, [Raw(raw) for raw in raws])
    path = folder / "run"
    path.write_bytes(b"".join(parts)[32:-1])
    output = subprocess.run([program, path], check=True, stdout=subprocess.PIPE, timeout=60).stdout
    found = []
    while output:
        line, _, output = output.partition(b"\n")
        size, value_size = map(int, line.split())
        found.append((json.loads(output[:size]), json.loads(output[size : size + value_size])))
        output = output[size + value_size :]
    return found


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.lists(events(), min_size=1, max_size=25))
def test_both_make_the_same_record(
    program: Path, tmp_path_factory: pytest.TempPathFactory, raws: list[bytes]
) -> None:
    sound, expected = [], []
    for raw in raws:
        try:
            record = make_event(ROOM, raw, ME, "any", marks=Marks(is_historic=False))
        except MalformedEventError:
            continue
        sound.append(raw)
        expected.append(json.loads(msgspec.json.encode(record)))
    if not sound:
        return
    made = records_of_core(program, sound, tmp_path_factory.mktemp("run"))
    for raw, record, (as_text, as_value) in zip(sound, expected, made, strict=True):
        assert as_text == record, raw
        assert as_value == record, raw
