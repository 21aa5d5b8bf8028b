"""The runtime without its core: order, one answer each, cancelling, closing, and defects."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from libmatrix import frames
from libmatrix.operations import diagnostics
from libmatrix.runtime import Runtime
from tests.support.runtime_host import CONTEXT, SECONDS, FakeBridge, RuntimeHost


def test_ping_gives_back_what_it_was_given(host: RuntimeHost) -> None:
    client = host.client()
    for payload in ({"a": [1, 2.5, None, "ü"]}, [], "text", 0, False, 2**63 - 1):
        assert host.call(client, "ping", payload=payload) == {"payload": payload}
    assert host.call(client, "ping") == {}


def test_requests_are_answered_in_order_when_none_waits(host: RuntimeHost) -> None:
    client = host.client()
    requests = [host.submit(client, "ping", payload=number) for number in range(5000)]
    host.wait(requests[-1])
    assert list(host.results) == requests[:-1]


def test_others_go_on_while_one_waits(host: RuntimeHost) -> None:
    client = host.client()
    slow = host.submit(client, "ping", delay_ms=300)
    assert host.call(client, "ping", payload=1) == {"payload": 1}
    assert slow not in host.results
    assert host.wait(slow).is_ok


def test_progress_precedes_the_result(host: RuntimeHost) -> None:
    client = host.client()
    request = host.submit(client, "ping", progress_count=3)
    host.wait(request)
    assert [frame.payload for frame in host.progress] == [
        {"done": done, "total": 3} for done in (1, 2, 3)
    ]
    assert {frame.target for frame in host.progress} == {request}


def test_the_host_is_asked_and_its_answer_comes_back(host: RuntimeHost) -> None:
    client = host.client()
    request = host.submit(client, "ping", host_call="colour?", payload={"of": "tea"})
    question = host.until(lambda: host.calls).popleft()
    assert question.extra == request
    assert question.payload == {
        "name": "colour?",
        "payload": {"of": "tea"},
        "timeout_ms": 30000,
    }
    host.bridge.send("respond", CONTEXT, 0, question.target, "", {"is": "green"})
    assert host.wait(request).payload == {"payload": {"of": "tea"}, "answer": {"is": "green"}}


def test_a_question_nobody_answers(host: RuntimeHost) -> None:
    client = host.client()
    late = host.refuse(client, "ping", host_call="late?", host_call_timeout_ms=50)
    assert late["code"] == "E_TIMEOUT"
    request = host.submit(client, "ping", host_call="nobody?")
    while len(host.calls) < 2:
        assert host.step(SECONDS)
    host.bridge.send("respond", CONTEXT, 0, host.calls[1].target, "E_NOT_HANDLED", None)
    assert host.wait(request).payload["code"] == "E_NOT_HANDLED"
    # An answer that comes too late, or twice, is nobody's.
    host.bridge.send("respond", CONTEXT, 0, host.calls[0].target, "", {})
    host.bridge.send("respond", CONTEXT, 0, host.calls[1].target, "", {})
    assert host.call(client, "ping") == {}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"bad": 1}, "bad"),
        ({"delay_ms": "x"}, "delay_ms"),
        ({"delay_ms": -1}, "delay_ms"),
        ({"progress_count": 10**9}, "progress_count"),
    ],
)
def test_wrong_arguments_are_named(host: RuntimeHost, arguments: Any, named: str) -> None:
    error = host.refuse(host.client(), "ping", **arguments)
    assert error["code"] == "E_INVALID_ARGUMENT" and named in error["message"]


def test_an_unknown_operation(host: RuntimeHost) -> None:
    assert host.refuse(host.client(), "no_such")["code"] == "E_INVALID_ARGUMENT"


def test_cancelling_ends_a_request_once(host: RuntimeHost) -> None:
    client = host.client()
    request = host.submit(client, "ping", delay_ms=60_000)
    host.send("cancel", client, request)
    host.send("cancel", client, request)
    assert host.wait(request).payload["code"] == "E_CANCELLED"
    done = host.submit(client, "ping")
    host.send("cancel", client, done)
    assert host.wait(done).is_ok
    host.settle(0.05)
    assert not host.results


def test_closing_a_client_ends_its_requests_only(host: RuntimeHost) -> None:
    first, second = host.client(), host.client()
    open_ones = [host.submit(first, "ping", delay_ms=60_000) for _ in range(20)]
    other = host.submit(second, "ping", delay_ms=200)
    host.send("close_client", first)
    for request in open_ones:
        assert host.wait(request).payload["code"] == "E_CANCELLED"
    assert host.wait(other).is_ok
    assert host.refuse(first, "ping")["code"] == "E_CANCELLED"


def test_closing_a_context_ends_with_its_last_frame(host: RuntimeHost) -> None:
    client = host.client()
    requests = [host.submit(client, "ping", delay_ms=60_000) for _ in range(50)]
    requests += [host.submit(client, "ping", progress_count=50) for _ in range(20)]
    host.send("close_context")
    host.until(lambda: host.has_closed)
    assert sorted(host.results) == requests
    host.settle(0.1)
    assert sorted(host.results) == requests


def test_a_context_can_be_opened_again(host: RuntimeHost) -> None:
    host.client()
    host.send("close_context")
    host.bridge.send("open_context", CONTEXT, 0, 0, "", {})
    assert host.call(host.client(), "ping", payload=1) == {"payload": 1}


def test_a_defect_is_answered_and_logged_without_values(
    host: RuntimeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def defective(client: object, arguments: object) -> None:
        raise ValueError("secret-word")

    monkeypatch.setattr(diagnostics, "ping", defective)
    client = host.client()
    error = host.refuse(client, "ping")
    assert error["code"] == "E_INTERNAL"
    (record,) = [record for record in host.logs if record["level"] == "error"]
    assert "test_runtime.py" in record["message"] and "ValueError" in record["message"]
    assert "secret-word" not in str((error, record))


def test_a_message_that_cannot_be_handled_stops_nothing(host: RuntimeHost) -> None:
    client = host.client()
    host.send("no_such_kind")
    host.send("subscribe", client, host.handle(), "no_such_event")
    host.bridge.send("request", CONTEXT, client, host.handle(), "ping", [])
    assert host.call(client, "ping") == {}
    assert [record["level"] for record in host.logs].count("error") == 2


@pytest.mark.parametrize(
    "homeserver",
    ["", "no name", "ftp://x", "https://", "http://a b", "https://x?y", "http://u@h"],
)
def test_a_bad_homeserver_is_named_to_every_request(host: RuntimeHost, homeserver: str) -> None:
    client = host.client(homeserver)
    for _ in range(2):
        error = host.refuse(client, "whoami")
        assert error["code"] == "E_INVALID_ARGUMENT" and "homeserver" in error["message"]


def test_log_levels(host: RuntimeHost) -> None:
    host.client("no name")
    host.send("log_level", name="off")
    host.client("no name")
    host.send("log_level", name="error")
    host.client("no name")
    # Its answer comes after what was logged before.
    host.call(host.client(), "ping")
    assert [record["level"] for record in host.logs] == ["error", "error"]
    # The core adds it.
    assert not any("dropped" in record for record in host.logs)
    assert host.logs[0]["source"] == "client" and host.logs[0]["code"] == "E_INVALID_ARGUMENT"


def test_nobody_there(host: RuntimeHost) -> None:
    client = host.client("http://127.0.0.1:9")
    error = host.refuse(client, "login_password", user="a", password="b")
    assert error["code"] == "E_CONNECTION"


def test_a_core_that_cannot_be_understood_ends_the_runtime() -> None:
    bridge = FakeBridge()
    bridge.take = lambda: b"[[1]]"  # type: ignore[method-assign]
    with pytest.raises(msgspec.ValidationError):
        Runtime(bridge).run()


@pytest.mark.parametrize(
    "body", [b"[" * 100_000 + b"]" * 100_000, b'{"payload": [1,], "]": "\\""}']
)
def test_a_body_that_cannot_be_read_fails_alone(host: RuntimeHost, body: bytes) -> None:
    take = host.bridge.take
    host.bridge.take = lambda: take().replace(b'"broken"', body)  # type: ignore[method-assign]
    client = host.client()
    before = host.submit(client, "ping", payload='"]')
    requests = [host.handle(), host.handle()]
    host.bridge.send("request", CONTEXT, client, requests[0], "ping", "broken")
    host.bridge.send("request", CONTEXT, client, requests[1], "ping", {"payload": "broken"})
    host.bridge.send("subscribe", CONTEXT, client, host.handle(), "message", "broken")
    after = host.submit(client, "ping", payload={"a": [1]})
    assert host.wait(before).payload == {"payload": '"]'}
    for request in requests:
        assert not host.wait(request).is_ok
    assert host.wait(after).payload == {"payload": {"a": [1]}}
    assert [record["level"] for record in host.logs].count("error") > 0


@pytest.mark.parametrize("batch", [b'[["ping",1,', b'[["ping",1,2,3,"",{}],[1]]', b"[1]"])
def test_a_batch_whose_messages_cannot_be_told_ends_the_runtime(batch: bytes) -> None:
    bridge = FakeBridge()
    bridge.take = lambda: batch  # type: ignore[method-assign]
    with pytest.raises(msgspec.DecodeError):
        Runtime(bridge).run()


def test_stopping_answers_what_is_open() -> None:
    host = RuntimeHost()
    client = host.client()
    request = host.submit(client, "ping", delay_ms=600_000)
    host.call(client, "ping")
    # Sooner than the ping would end.
    host.stop()
    assert host.wait(request, 0).payload["code"] == "E_CANCELLED"


def test_frames_are_laid_out_as_bridge_h_says() -> None:
    block = frames.frame(frames.EVENT, 1, 2, b"{}", flags=3, extra=4)
    assert block == b"\x02\0\0\0\x03\0\x03\0" + bytes((1, *[0] * 7, 2, *[0] * 7, 4, *[0] * 7)) + (
        b"{}\0"
    )
