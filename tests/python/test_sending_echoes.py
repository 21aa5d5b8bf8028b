"""Sends of unknown outcome end by the event that a sync brings back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from libmatrix.sending import doubts
from tests.support.send_server import LOSE, ME, TAKE, Deed, Sending, SendServer, refuse
from tests.support.sender import A, B, Sender, rows, set_back

Other = tuple[int, Any] | None


def echo_of(sending: Sending, event_id: str = "$echo", **fields: Any) -> dict[str, Any]:
    """What comes back for a request to send something."""
    event = {
        "type": "m.room.redaction" if sending.kind == "redact" else sending.parts[0],
        "sender": ME,
        "event_id": event_id,
        "origin_server_ts": 9_000_000_000_000,
        "content": sending.body,
        "unsigned": {"age": 1, "transaction_id": sending.txn_id},
    }
    if sending.kind == "redact":
        event["redacts"] = sending.parts[0]
    return event | fields


class Syncs:
    """Each sync of the server brings what was added since the one before."""

    def __init__(self, server: SendServer) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._count = 0
        server.other = self._other

    def add(self, event: dict[str, Any], room_id: str = A) -> None:
        self.events.append((room_id, event))

    def _other(self, _method: str, path: str, _token: str) -> Other:
        if not path.endswith("/sync"):
            return None
        join: dict[str, Any] = {}
        for room_id, event in self.events:
            room = join.setdefault(room_id, {"timeline": {"events": []}})
            room["timeline"]["events"].append(event)
        self.events = []
        self._count += 1
        return 200, {"next_batch": f"s{self._count}", "rooms": {"join": join}}


def lost(sender: Sender) -> list[dict[str, Any]]:
    """What waits for another attempt."""
    sends = sender.call("sends")["sends"]
    return [send for send in sends if send.get("failure") and send["state"] == "queued"]


def ends(sender: Sender) -> list[tuple[str, str, Any]]:
    """The outcomes so far."""
    told = [event.payload for event in sender.host.events if event.payload["kind"] == "send"]
    over = [each for each in told if each["state"] in ("sent", "failed")]
    return [
        (each["txn_id"], each["state"], each.get("event_id") or each["failure"]["code"])
        for each in over
    ]


def test_a_sync_settles_what_is_unknown(server: SendServer) -> None:
    syncs = Syncs(server)
    server.deed = lambda sending: LOSE if sending.txn_id == "t1" else TAKE
    with Sender(server) as sender:
        sender.subscribe()
        first, second = sender.send("one", txn_id="t1"), sender.send("two", txn_id="t2")
        sender.until(lambda: lost(sender))
        syncs.add(echo_of(server.taken[0]))
        sender.call("sync_once")
        assert sender.event_id(first) == "$echo"
        # The next one of the room need not wait any more.
        sender.event_id(second)
        sender.host.settle()
        assert [end[:2] for end in ends(sender)] == [("t1", "sent"), ("t2", "sent")]
        assert sender.call("sends")["sends"] == []
    assert server.bodies() == ["one", "two"]


def test_a_redaction_too(server: SendServer) -> None:
    syncs = Syncs(server)
    server.deed = lambda _: LOSE
    with Sender(server) as sender:
        request = sender.host.submit(sender.client, "redact", room_id=A, event_id="$bad")
        sender.until(lambda: lost(sender))
        taken = server.taken[0]
        syncs.add(echo_of(taken, "$other", redacts="$another"))
        # Where rooms of newer versions have it.
        content = {"redacts": "$bad"}
        syncs.add({**echo_of(taken, content=content), "redacts": None})
        sender.call("sync_once")
        assert sender.event_id(request) == "$echo"


def strangers(taken: Sending) -> list[tuple[str, dict[str, Any]]]:
    """Events that are not what was sent."""
    echo = echo_of(taken, "$wrong")
    unsigned = {"transaction_id": "t2"}
    return [
        (A, echo | {"sender": "@you:x"}),
        (A, echo | {"type": "m.sticker"}),
        (A, echo | {"state_key": ""}),
        (A, echo | {"unsigned": unsigned}),
        (A, echo | {"unsigned": {"transaction_id": 1}}),
        (A, echo | {"unsigned": {}, "content": {"transaction_id": "t1", "body": "t1"}}),
        (A, echo | {"event_id": ""}),
        # From long before: another event of the same transaction id.
        (A, echo | {"origin_server_ts": 1}),
        (B, echo),
    ]


def test_only_its_own_event_settles_a_send(server: SendServer) -> None:
    syncs = Syncs(server)
    server.deed = lambda _: LOSE
    with Sender(server) as sender:
        sender.subscribe()
        sender.send("one", txn_id="t1")
        sender.until(lambda: lost(sender))
        for room_id, event in strangers(server.taken[0]):
            syncs.add(event, room_id)
        sender.call("sync_once")
        sender.host.settle()
        assert ends(sender) == []
        assert len(sender.call("sends")["sends"]) == 1


def test_state_events_have_no_transaction(server: SendServer) -> None:
    syncs = Syncs(server)
    server.deed = lambda _: LOSE
    with Sender(server) as sender:
        sender.subscribe()
        sender.host.submit(sender.client, "set_room_name", room_id=A, name="N")
        txn_id = sender.until(lambda: lost(sender))[0]["txn_id"]
        unsigned = {"transaction_id": txn_id}
        syncs.add(echo_of(server.taken[0], state_key="", unsigned=unsigned))
        sender.call("sync_once")
        sender.host.settle()
        assert ends(sender) == []


@pytest.mark.parametrize("deed", [TAKE, LOSE, refuse(403, "M_FORBIDDEN"), refuse(500, "M_UNKNOWN")])
@pytest.mark.parametrize("number", [0, 1])
def test_one_outcome_of_what_is_on_its_way(
    server: SendServer, tmp_path: Path, deed: Deed, number: int
) -> None:
    """The event is back before the answer; of the first attempt, or of a repetition."""
    syncs, gate = Syncs(server), threading.Event()

    def act(sending: Sending) -> Deed:
        if sending.txn_id != "t1":
            return TAKE
        kept = Deed(deed.takes, deed.status, deed.body, deed.headers, gate)
        return kept if sending.number == number else LOSE

    server.deed = act
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        first, second = sender.send("one", txn_id="t1"), sender.send("two", txn_id="t2")
        sender.until(lambda: len(server.sendings) == number + 1)
        syncs.add(echo_of(server.sendings[-1], "$e0"))
        sender.call("sync_once")
        assert sender.event_id(first) == "$e0"
        # In order: not before the request of the first one has come to its end.
        assert [each.txn_id for each in server.sendings] == ["t1"] * (number + 1)
        gate.set()
        sender.event_id(second)
        sender.consume()
        assert [end[:2] for end in ends(sender)] == [("t1", "sent"), ("t2", "sent")]
        assert sender.states()[-1] == ("t2", "sent")
    assert rows(tmp_path) == []


def test_cancelled_when_a_sync_has_settled_it(server: SendServer) -> None:
    """The request that asked for it is over as well, though its answer is still outstanding."""
    syncs, gate = Syncs(server), threading.Event()
    server.deed = lambda _: Deed(gate=gate)
    with Sender(server) as sender:
        request = sender.send("one", txn_id="t1")
        sender.until(lambda: server.taken)
        syncs.add(echo_of(server.taken[0]))
        sync = sender.host.submit(sender.client, "sync_once")
        sender.until(lambda: sync in sender.host.results)
        sender.host.send("cancel", sender.client, request)
        assert sender.event_id(request) == "$echo"
        sender.host.settle()
        gate.set()
        assert sender.call("sends")["sends"] == []


def test_an_unknown_of_an_earlier_run(server: SendServer, tmp_path: Path) -> None:
    syncs = Syncs(server)
    server.deed = lambda _: LOSE
    with Sender(server, tmp_path) as sender:
        sender.send("one", txn_id="t1")
        sender.until(lambda: lost(sender))
    syncs.add(echo_of(server.taken[0]))
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        sender.call("sync_once")
        sender.until(lambda: ends(sender))
        assert ends(sender) == [("t1", "sent", "$echo")]
        assert sender.host.events[-1].payload["is_restored"] is True
        sender.consume()
    assert rows(tmp_path) == []


def test_what_a_sync_settled_is_kept_before_the_sync_is(server: SendServer, tmp_path: Path) -> None:
    """Killed right after it, the next run does not see that event again."""
    syncs = Syncs(server)
    server.deed = lambda _: LOSE
    with Sender(server, tmp_path) as sender:
        request = sender.send("one", txn_id="t1")
        sender.until(lambda: lost(sender))
        syncs.add(echo_of(server.taken[0]))
        sync = sender.host.submit(sender.client, "sync_once")
        sender.host.wait(request)
        assert sender.host.wait(sync).is_ok
        assert rows(tmp_path) == []


# -- past the homeserver's memory -----------------------------------------------------------------


def leave_unknown(server: SendServer, store: Path, *, has_synced: bool = True) -> Sending:
    """A send of unknown outcome, and one behind it; tried too long ago to be repeated."""
    server.deed = lambda sending: LOSE if sending.room_id == A else TAKE
    with Sender(server, store) as sender:
        if has_synced:
            sender.call("sync_once")
        sender.send("one", txn_id="t1")
        sender.until(lambda: lost(sender))
        sender.subscribe()
        sender.send("two", txn_id="t2")
        sender.until(lambda: ("t2", "queued") in sender.states())
    set_back(store, 13 * 3_600_000)
    server.deed = lambda _: TAKE
    return server.taken[0]


def test_what_is_too_old_is_settled_by_the_first_sync(server: SendServer, tmp_path: Path) -> None:
    syncs = Syncs(server)
    taken = leave_unknown(server, tmp_path)
    count = len(server.sendings)
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        # It holds nobody up.
        sender.until(lambda: ("t2", "sent") in sender.states())
        assert [each["txn_id"] for each in sender.call("sends")["sends"]] == ["t1"]
        joined = sender.send("one", txn_id="t1")
        syncs.add(echo_of(taken))
        sender.call("sync_once")
        assert sender.event_id(joined) == "$echo"
        sender.consume()
        assert [end for end in ends(sender) if end[0] == "t1"] == [("t1", "sent", "$echo")]
    assert [each.txn_id for each in server.sendings[count:]] == ["t2"]
    assert rows(tmp_path) == []


def test_what_the_first_sync_does_not_bring_is_uncertain(
    server: SendServer, tmp_path: Path
) -> None:
    Syncs(server)
    leave_unknown(server, tmp_path)
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        sender.until(lambda: ("t2", "sent") in sender.states())
        sender.call("sync_once")
        sender.until(lambda: ("t1", "failed") in sender.states())
        assert ("t1", "failed", "E_SEND_UNCERTAIN") in ends(sender)
        sender.consume()
    assert rows(tmp_path) == []


def test_a_sync_asked_for_before_the_attempt_tells_nothing(
    server: SendServer, tmp_path: Path
) -> None:
    syncs = Syncs(server)
    leave_unknown(server, tmp_path)
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        sender.until(lambda: ("t2", "sent") in sender.states())
        queue = sender.queue
        sender.host.inside(lambda: queue.doubts.synced(queue.loop.time() - 60))
        assert ends(sender) == [("t2", "sent", "$e1")]
        # That one could not know of it, this one does.
        syncs.add(echo_of(server.taken[0]))
        sender.call("sync_once")
        sender.until(lambda: ("t1", "sent") in sender.states())


def test_who_never_syncs_is_told_at_once(
    server: SendServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubts, "PATIENCE_SECONDS", 3600)
    leave_unknown(server, tmp_path, has_synced=False)
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        sender.until(lambda: len(ends(sender)) == 2)
        assert ends(sender)[0] == ("t1", "failed", "E_SEND_UNCERTAIN")


def test_who_does_not_sync_any_more_is_told_soon(
    server: SendServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubts, "PATIENCE_SECONDS", 0.05)
    leave_unknown(server, tmp_path)
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        sender.until(lambda: ("t1", "failed") in sender.states())
        assert ("t1", "failed", "E_SEND_UNCERTAIN") in ends(sender)


def test_a_loop_that_cannot_reach_the_homeserver_is_waited_for(
    server: SendServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubts, "PATIENCE_SECONDS", 0.05)
    syncs, is_back = Syncs(server), threading.Event()
    usual, tries = server.other, []

    def other(method: str, path: str, token: str) -> Other:
        if path.endswith("/sync") and not is_back.is_set():
            tries.append(path)
            return 502, {}
        return usual(method, path, token)

    taken = leave_unknown(server, tmp_path)
    server.other = other
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        sender.call("sync_loop_start", timeout_ms=100, backoff_min_ms=100, backoff_max_ms=100)
        sender.until(lambda: len(tries) > 3)
        assert ("t1", "failed") not in sender.states()
        syncs.add(echo_of(taken))
        is_back.set()
        sender.until(lambda: ("t1", "sent") in sender.states())
        sender.call("sync_loop_stop")


def ended_by_cancel(sender: Sender) -> None:
    held = sender.call("sends")["sends"][0]
    assert sender.call("cancel_send", send_id=held["send_id"])["is_cancelled"] is True


@pytest.mark.parametrize("end", [ended_by_cancel, lambda sender: sender.call("logout")])
def test_what_is_held_can_be_ended(
    server: SendServer, tmp_path: Path, end: Callable[[Sender], None]
) -> None:
    Syncs(server)
    leave_unknown(server, tmp_path)
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        sender.until(lambda: ("t2", "sent") in sender.states())
        end(sender)
        sender.until(lambda: ("t1", "failed") in sender.states())
        if sender.call("account")["is_logged_in"]:
            sender.call("sync_once")
        sender.consume()
        assert [each for each in ends(sender) if each[0] == "t1"] == [
            ("t1", "failed", "E_SEND_UNCERTAIN")
        ]
    assert rows(tmp_path) == []


# -- what it costs --------------------------------------------------------------------------------


def test_without_unknown_sends_no_event_is_looked_at(
    server: SendServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs = Syncs(server)
    looked: list[str] = []
    monkeypatch.setattr(doubts.Doubts, "take", lambda _, room_id, raws: looked.append(room_id))
    with Sender(server) as sender:
        sender.event_id(sender.send("one", txn_id="t1"))
        syncs.add(echo_of(server.taken[0]))
        sender.call("sync_once")
        assert looked == []
        server.deed = lambda _: LOSE
        sender.send("two", txn_id="t2")
        sender.until(lambda: lost(sender))
        # Nor while nothing in the whole sync has a transaction id.
        syncs.add(echo_of(server.taken[0], unsigned={}))
        sender.call("sync_once")
        assert looked == []
        syncs.add(echo_of(server.taken[0]))
        sender.call("sync_once")
        assert looked == [A]
