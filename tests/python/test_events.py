"""Single events: the limits, and what is left out."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from libmatrix.events.head import MalformedEventError, depth, read_event, read_timeline_event


def event(content: str, kind: str = "m.room.message") -> bytes:
    head = f'"type":"{kind}","event_id":"$1","sender":"@a:x","origin_server_ts":1'
    return f'{{{head},"content":{content}}}'.encode()


def nested(levels: int) -> str:
    """An object of so many levels."""
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


@pytest.mark.parametrize(
    "content",
    [
        '{"body":"hello"}',
        '{"n":9223372036854775807,"m":-9223372036854775808}',
        '{"n":1e99,"m":1.7976931348623157e308,"k":1e-999}',
        '{"body":"0e000 and 12345678901234567890123"}',
        '{"body":"grüße 👋 \\ud83d\\ude00"}',
        '{"body":"' + "{[" * 500 + '"}',
        nested(63),
    ],
)
def test_sound_events_are_read(content: str) -> None:
    assert bytes(read_timeline_event(event(content)).content) == content.encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (event('{"n":9223372036854775808}'), "64 bits"),
        (event('{"n":[-9223372036854775809]}'), "64 bits"),
        (event('{"n":123456789012345678901234567890}'), "64 bits"),
        (event('{"n":1e999}'), "range"),
        (event('{"n":-1E+0400}'), "range"),
        (event(nested(64)), "levels"),
        (event(nested(900)), "levels"),
        (event(nested(100_000)), "levels"),
        (event('{"a":' + "[" * 200_000 + "]" * 200_000 + "}"), "levels"),
        (event('{"body":"x"}').replace(b'"x"', b'"\xff"'), "UTF-8"),
        (event('{"body":"\\ud800 \u00e9"}'), ""),
        (event("[]"), "no object"),
        (event('"text"'), "no object"),
        (event("null"), "no object"),
        (b"[]", "object"),
        (b"", ""),
        (b'{"type":5,"content":{}}', "type"),
        (b'{"content":{}}', "type"),
        (b'{"type":"m.x"}', "content"),
        (b'{"type":"m.x","content":{}}', "event_id"),
        (b'{"type":"m.x","content":{},"event_id":"$1","sender":7}', "sender"),
        (
            b'{"type":"m.x","content":{},"event_id":"$1","sender":"@a:x","state_key":[]}',
            "state_key",
        ),
    ],
)
def test_malformed_events_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedEventError) as raised:
        read_timeline_event(data)
    assert reason in str(raised.value)


def test_reason_holds_no_values() -> None:
    with pytest.raises(MalformedEventError) as raised:
        read_event(b'{"type":"m.x","content":{},"sender":["secret-word"]}')
    assert "secret-word" not in str(raised.value)


def test_depth_is_counted_outside_strings_only() -> None:
    assert depth(json.dumps({"a": ['[[["{']}).encode()) == 2
    assert depth(b'{"a\\"[":[[]]}') == 3


@pytest.mark.parametrize("end", [b"", b"\\", b"}"])
def test_a_string_without_an_end_is_looked_at_once(end: bytes) -> None:
    data = b'{"type":"m.x","content":{},"a":"' + b'\\"' * 1_000_000 + end
    assert depth(data) == 2
    with pytest.raises(MalformedEventError):
        read_event(data)


def test_escapes_cost_no_memory() -> None:
    data = event('{"body":"' + "{" * 65 + "\\n" * 500_000 + '"}')
    tracemalloc.start()
    try:
        assert depth(data) == 2
        read_event(data)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(data)
    finally:
        tracemalloc.stop()
