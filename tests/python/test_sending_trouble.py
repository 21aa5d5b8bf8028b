"""Sends that are lost, refused, limited or cancelled on their way."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from libmatrix.errors import MatrixError
from tests.support.runtime_host import CONTEXT, SECONDS
from tests.support.send_server import (
    DROP,
    LOSE,
    ME,
    TAKE,
    Deed,
    Sending,
    SendServer,
    limit,
    refuse,
)
from tests.support.sender import A, B, Sender, once


@pytest.mark.parametrize("deed", [DROP, LOSE, Deed(True, 500, {}), Deed(False, 502, b"<html>")])
def test_same_transaction_until_taken(server: SendServer, deed: Deed) -> None:
    # HTTP alone repeats a request whose connection breaks before an answer once.
    server.deed = lambda sending: deed if sending.number < 3 else TAKE
    with Sender(server) as sender:
        sender.subscribe()
        requests = [sender.send("one"), sender.send("two")]
        for request in requests:
            sender.event_id(request)
        again = [e.payload for e in sender.host.events if e.payload.get("delay_ms")]
        assert again
        assert again[0]["state"] == "queued"
        assert again[0]["failure"]["code"]
    assert server.bodies() == ["one", "two"]
    assert len({sending.txn_id for sending in server.sendings}) == 2


def test_a_limit_pauses_all_rooms_and_only_for_as_long(server: SendServer) -> None:
    times: list[float] = []

    def deed(sending: Sending) -> Deed:
        times.append(time.monotonic())
        return limit(400) if sending.number == 0 else TAKE

    server.deed = deed
    with Sender(server) as sender:
        first = sender.send("one")
        sender.until(lambda: len(server.sendings) == 1)
        others = [sender.send("hi", f"!{number}:x") for number in range(10)]
        for request in [first, *others]:
            sender.event_id(request)
    assert len(server.taken) == 11
    assert all(when - times[0] >= 0.39 for when in times[1:])


def test_a_limit_is_no_other_clients(server: SendServer) -> None:
    server.deed = lambda sending: limit(60_000) if sending.token == "token" else TAKE
    with Sender(server) as sender:
        sender.send("one")
        sender.until(lambda: server.sendings)
        options = {"access_token": "other", "user_id": ME, "device_id": "E"}
        other = sender.host.client(server.url, **options)
        sender.host.call(other, "send_text", room_id=A, body="two")
    assert server.bodies() == ["two"]


@pytest.mark.parametrize(
    ("deed", "code"),
    [
        (refuse(403, "M_FORBIDDEN"), "M_FORBIDDEN"),
        (refuse(413, "M_TOO_LARGE"), "M_TOO_LARGE"),
        (refuse(404, "M_NOT_FOUND"), "M_NOT_FOUND"),
        (refuse(400, "M_BAD_JSON"), "M_BAD_JSON"),
        (Deed(False, 413, b"<html>"), "E_INVALID_RESPONSE"),
    ],
)
def test_refusal_blocks_nothing(server: SendServer, deed: Deed, code: str) -> None:
    server.deed = once(deed)
    with Sender(server) as sender:
        sender.subscribe()
        first, second = sender.send("one", txn_id="1"), sender.send("two", txn_id="2")
        assert sender.code(first) == code
        sender.event_id(second)
        failed = [e.payload for e in sender.host.events if e.payload["state"] == "failed"]
        assert [each["failure"]["code"] for each in failed] == [code]
    assert server.bodies() == ["two"]
    assert len(server.sendings) == 2


def test_the_network_is_away_for_a_while(server: SendServer) -> None:
    server.stop()
    with Sender(server) as sender:
        requests = [sender.send(str(number)) for number in range(5)]
        sender.until(lambda: sender.call("sends")["sends"][0].get("failure"))
        server.start()
        assert sender.call("retry_sends")["count"] in (0, 1)
        for request in requests:
            sender.event_id(request)
    assert server.bodies() == list("01234")


def test_an_answer_to_anything_ends_the_wait(
    server: SendServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_SHORTEST_MS", "_LONGEST_MS"):
        monkeypatch.setattr(f"libmatrix.sending.lane.{name}", 600_000)
    server.stop()
    with Sender(server) as sender:
        request = sender.send("one")

        def delay() -> int:
            listed = [e.payload.get("delay_ms") or 0 for e in sender.host.events]
            return max(listed, default=0)

        sender.subscribe()
        # Longer than the test may take.
        sender.until(lambda: delay() > SECONDS * 1000)
        server.start()
        sender.call("sync_loop_start", timeout_ms=100)
        sender.event_id(request)
        sender.call("sync_loop_stop")


def test_a_limit_of_time(server: SendServer) -> None:
    server.deed = lambda sending: refuse(403, "M_FORBIDDEN") if sending.room_id == B else DROP
    with Sender(server, send_timeout_ms=300) as sender:
        uncertain = sender.send("one")
        assert sender.code(uncertain) == "E_SEND_UNCERTAIN"
        server.stop()
        sender.host.settle()
        assert sender.code(sender.send("two")) == "E_TIMEOUT"
        server.start()


def test_errors_are_judged_by_what_they_say() -> None:
    from libmatrix.errors import DiscoveryError, StoreError, TransportError
    from libmatrix.sending.outcome import judge

    assert judge(TransportError("x", sent=False)) == ("temporary", False)
    assert judge(TransportError("x", sent=True)) == ("temporary", True)
    assert judge(TransportError("x", code="E_INVALID_ARGUMENT")).what == "permanent"
    assert judge(StoreError("x")).what == judge(DiscoveryError("x")).what == "temporary"
    assert judge(MatrixError("x")).what == "permanent"


# -- cancelling -----------------------------------------------------------------------------------


def test_cancelled_while_it_waits(server: SendServer) -> None:
    gate = threading.Event()
    server.deed = lambda _: Deed(gate=gate)
    with Sender(server) as sender:
        sender.subscribe()
        requests = [sender.send(str(number), txn_id=f"t{number}") for number in range(4)]
        sender.until(lambda: ("t3", "queued") in sender.states() and server.sendings)
        sender.host.send("cancel", sender.client, requests[1])
        assert sender.code(requests[1]) == "E_CANCELLED"
        waiting = {each["txn_id"]: each["send_id"] for each in sender.call("sends")["sends"]}
        assert list(waiting) == ["t0", "t2", "t3"]
        assert sender.call("cancel_send", send_id=waiting["t2"])["is_cancelled"] is True
        assert sender.code(requests[2]) == "E_CANCELLED"
        # On its way: it goes on.
        assert sender.call("cancel_send", send_id=waiting["t0"])["is_cancelled"] is False
        sender.host.send("cancel", sender.client, requests[0])
        gate.set()
        assert sender.event_id(requests[0]) == "$e0"
        sender.event_id(requests[3])
        wrong = sender.host.submit(sender.client, "cancel_send", send_id=waiting["t0"])
        assert sender.code(wrong) == "E_INVALID_ARGUMENT"
        failed = [txn for txn, state in sender.states() if state == "failed"]
        assert failed == ["t1", "t2"]
    assert server.bodies() == ["0", "3"]


def test_cancelled_as_the_answer_comes(server: SendServer) -> None:
    """Both in the same turn of the loop: it was sent."""
    gate = threading.Event()
    server.deed = lambda _: Deed(gate=gate)
    with Sender(server) as sender:
        request = sender.send("one")
        sender.until(lambda: server.sendings)

        def cancel_and_answer() -> None:
            (item,) = sender.queue._items.values()
            sender.host.runtime._cancel(CONTEXT, sender.client, request, "", Raw())
            sender.queue.finish(item, event_id="$answer")

        sender.host.inside(cancel_and_answer)
        assert sender.event_id(request) == "$answer"
        gate.set()


def test_cancelled_after_an_attempt_of_unknown_outcome(server: SendServer) -> None:
    server.deed = lambda sending: LOSE if sending.room_id == A else TAKE
    with Sender(server) as sender:
        request = sender.send("one")
        sender.until(lambda: sender.call("sends")["sends"][0].get("failure"))
        sender.host.send("cancel", sender.client, request)
        assert sender.code(request) == "E_SEND_UNCERTAIN"
        assert sender.call("sends")["sends"] == []


@pytest.mark.parametrize("way", ["cancel", "cancel_send", "timeout", "refusal"])
def test_what_was_told_to_have_failed_is_not_sent_after_a_kill(
    server: SendServer, tmp_path: Path, way: str
) -> None:
    store, killed = tmp_path / "store", tmp_path / "killed"
    server.deed = lambda _: refuse(403, "M_FORBIDDEN")
    with Sender(server, store, send_timeout_ms=2_000 if way == "timeout" else 0) as sender:
        host = sender.host
        if way != "refusal":
            server.stop()
        sender.subscribe()
        request = sender.send("regretted")
        if way.startswith("cancel"):
            waiting = sender.until(lambda: sender.call("sends")["sends"])
            sender.until(lambda: sender.call("sends")["sends"][0].get("failure"))
            if way == "cancel":
                host.send("cancel", sender.client, request)
            else:
                assert sender.call("cancel_send", send_id=waiting[0]["send_id"])["is_cancelled"]
        sender.code(request)
        # All that the disk has at this moment.
        host.inside(lambda: shutil.copytree(store, killed))
    server.deed = lambda _: TAKE
    if way != "refusal":
        server.start()
    with Sender(server, killed) as sender:
        sender.event_id(sender.send("next"))
    assert server.bodies() == ["next"]


FAILS = Deed(False, 500, {"errcode": "M_UNKNOWN", "error": "Internal server error"})


def hurry_until(sender: Sender, condition: Callable[[], Any]) -> None:
    """Waits for something without the pauses between attempts."""

    def look() -> Any:
        sender.call("retry_sends")
        return condition()

    sender.until(look)


def test_what_the_homeserver_fails_at_for_ever_holds_nothing(server: SendServer) -> None:
    """Some answer 500 to what they should refuse. Whether it was taken is not known then."""
    server.deed = lambda sending: FAILS if sending.body["body"] == "poison" else TAKE
    with Sender(server) as sender:
        first = [sender.send(body) for body in ("poison", "one", "two")]
        hurry_until(sender, lambda: len(server.taken) == 2)
        assert sender.code(first[0]) == "E_SEND_UNCERTAIN"
        assert [sender.event_id(request) for request in first[1:]] == ["$e0", "$e1"]
        # Alone it holds nobody, and is tried on.
        alone = sender.send("poison")
        hurry_until(sender, lambda: len(server.sendings) > 20)
        [waiting] = sender.call("sends")["sends"]
        assert waiting["failure"]["code"] == "M_UNKNOWN"
        sender.event_id(sender.send("three"))
        assert sender.code(alone) == "E_SEND_UNCERTAIN"
    assert server.bodies() == ["one", "two", "three"]


@pytest.mark.parametrize("at", ["0", "1"])
def test_a_homeserver_that_fails_at_everything_is_waited_for(server: SendServer, at: str) -> None:
    """All are sent when it is well again, whichever it is asked to take then."""
    is_well = threading.Event()

    def deed(sending: Sending) -> Deed:
        if sending.number > 25 and sending.body["body"] == at:
            is_well.set()
        return TAKE if is_well.is_set() else FAILS

    server.deed = deed
    with Sender(server) as sender:
        requests = [sender.send(str(number)) for number in range(4)]
        hurry_until(sender, lambda: len(server.sendings) > 25)
        hurry_until(sender, lambda: len(server.taken) == 4)
        for request in requests:
            sender.event_id(request)
    assert sorted(server.bodies()) == ["0", "1", "2", "3"]
    assert at != "0" or server.bodies() == ["0", "1", "2", "3"]


def test_nothing_passes_by_what_enables_encryption(server: SendServer) -> None:
    server.deed = lambda sending: FAILS if sending.kind == "state" else TAKE
    with Sender(server) as sender:
        sender.host.submit(sender.client, "enable_encryption", room_id=A)
        sender.until(lambda: server.sendings)
        sender.send("secret")
        hurry_until(sender, lambda: len(server.sendings) > 12)
        assert len(sender.call("sends")["sends"]) == 2
    assert server.taken == []
