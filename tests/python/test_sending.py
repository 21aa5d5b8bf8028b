"""The queue of sends against a homeserver that does everything wrong."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from libmatrix.errors import MatrixError
from tests.support.runtime_host import RuntimeHost
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

A, B = "!a:x", "!b:x"


class Sender:
    """A client that is logged in, and what its host hears."""

    def __init__(self, server: SendServer, store: Path | None = None, **options: Any) -> None:
        self.host = RuntimeHost()
        options = {"access_token": "token", "user_id": ME, "device_id": "D", **options}
        if store is not None:
            options["store_path"] = str(store)
        self.client = self.host.client(server.url, **options)

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.host.stop()

    def subscribe(self, kind: str = "send", **wanted: Any) -> int:
        return self.host.subscribe(self.client, kind, **wanted)

    def send(self, body: str, room_id: str = A, **options: Any) -> int:
        options = {"room_id": room_id, "body": body, **options}
        return self.host.submit(self.client, "send_text", **options)

    def call(self, operation: str, **arguments: Any) -> Any:
        return self.host.call(self.client, operation, **arguments)

    def states(self) -> list[tuple[str, str]]:
        """Transaction id and state of the events so far."""
        events = [event.payload for event in self.host.events]
        return [(event["txn_id"], event["state"]) for event in events if event["kind"] == "send"]

    def until(self, condition: Callable[[], Any], seconds: float = 20) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, (self.states(), self.host.logs)
            self.host.step(0.02)
        return found

    def event_id(self, request: int) -> str:
        frame = self.host.wait(request)
        assert frame.is_ok, frame.payload
        return str(frame.payload["event_id"])

    def code(self, request: int) -> str:
        frame = self.host.wait(request)
        assert not frame.is_ok, frame.payload
        return str(frame.payload["code"])


@pytest.fixture
def server() -> Iterator[SendServer]:
    with SendServer() as running:
        yield running


def once(deed: Deed) -> Callable[[Sending], Deed]:
    """Does something with the first request, and takes all others."""
    return lambda sending: deed if sending.number == 0 else TAKE


def rows(store: Path) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(f"file:{store / 'libmatrix.sqlite3'}?immutable=0", uri=True)
    try:
        query = "SELECT send_id, room_id, draft, tried_ms, outcome FROM send"
        return database.execute(query).fetchall()
    finally:
        database.close()


# -- the usual way --------------------------------------------------------------------------------


def test_states_of_a_send(server: SendServer) -> None:
    with Sender(server) as sender:
        sender.subscribe(with_content=True)
        request = sender.send("hi", txn_id="t1")
        assert sender.event_id(request) == "$e0"
        sender.until(lambda: len(sender.states()) == 3)
        assert sender.states() == [("t1", "queued"), ("t1", "sending"), ("t1", "sent")]
        last = sender.host.events[-1].payload
        assert last["event_id"] == "$e0"
        assert last["room_id"] == A
        assert last["content"]["body"] == "hi"
        assert last["is_restored"] is False
        assert sender.call("sends")["sends"] == []


def test_order_of_a_room_is_kept(server: SendServer) -> None:
    gate = threading.Event()
    server.deed = lambda sending: Deed(gate=gate) if sending.room_id == A else TAKE
    with Sender(server) as sender:
        first = [sender.send(str(number)) for number in range(20)]
        second = [sender.send(str(number), B) for number in range(20)]
        for request in second:
            sender.event_id(request)
        assert server.bodies(A) == ["0"]
        waiting = sender.call("sends", room_id=A)["sends"]
        assert [each["content"]["body"] for each in waiting] == [str(n) for n in range(20)]
        assert [each["state"] for each in waiting] == ["sending"] + ["queued"] * 19
        gate.set()
        for request in first:
            sender.event_id(request)
    assert server.bodies(A) == server.bodies(B) == [str(number) for number in range(20)]


def test_a_bounded_number_of_rooms_at_once(server: SendServer) -> None:
    gate = threading.Event()
    server.deed = lambda _: Deed(gate=gate)
    with Sender(server) as sender:
        requests = [sender.send("hi", f"!{number}:x") for number in range(100)]
        sender.until(lambda: len(server.sendings) == 32)
        sender.host.settle(0.1)
        assert len(server.sendings) == 32
        gate.set()
        for request in requests:
            sender.event_id(request)
    assert server.most_at_once == 32


def test_all_kinds_go_the_same_way(server: SendServer) -> None:
    with Sender(server) as sender:
        sender.subscribe()
        text = sender.send("hi")
        state = sender.host.submit(sender.client, "set_room_name", room_id=A, name="N")
        redaction = sender.host.submit(sender.client, "redact", room_id=A, event_id="$e0")
        sender.event_id(text)
        assert sender.host.wait(state).is_ok
        assert sender.host.wait(redaction).is_ok
    assert [each.kind for each in server.taken] == ["send", "state", "redact"]
    assert server.taken[1].parts == ["m.room.name", ""]
    assert server.taken[2].parts[0] == "$e0"


# -- trouble on the way ---------------------------------------------------------------------------


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


def test_an_answer_to_anything_ends_the_wait(server: SendServer) -> None:
    server.stop()
    with Sender(server) as sender:
        request = sender.send("one")

        def delay() -> int:
            listed = [e.payload.get("delay_ms") or 0 for e in sender.host.events]
            return max(listed, default=0)

        sender.subscribe()
        # Long enough to tell a wait that ended early from one that was over.
        sender.until(lambda: delay() > 3_000, 60)
        server.start()
        began = time.monotonic()
        sender.call("sync_loop_start", timeout_ms=100)
        sender.event_id(request)
        assert time.monotonic() - began < 3
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


def test_cancelled_after_an_attempt_of_unknown_outcome(server: SendServer) -> None:
    server.deed = lambda sending: LOSE if sending.room_id == A else TAKE
    with Sender(server) as sender:
        request = sender.send("one")
        sender.until(lambda: sender.call("sends")["sends"][0].get("failure"))
        sender.host.send("cancel", sender.client, request)
        assert sender.code(request) == "E_SEND_UNCERTAIN"
        assert sender.call("sends")["sends"] == []


# -- over a restart -------------------------------------------------------------------------------


def stuck(sender: Sender, server: SendServer, count: int, **options: Any) -> None:
    """Queues messages that do not get away."""
    server.stop()
    sender.subscribe()
    for number in range(count):
        sender.send(str(number), txn_id=f"t{number}", **options)
    sender.until(lambda: [each[1] for each in sender.states()].count("queued") >= count)


def test_goes_on_after_a_restart(server: SendServer, tmp_path: Path) -> None:
    with Sender(server, tmp_path) as sender:
        stuck(sender, server, 5)
    server.start()
    with Sender(server, tmp_path) as sender:
        # Nothing was done but opening the client.
        sender.until(lambda: len(server.taken) == 5)
        # An outcome waits for somebody who wants to hear it.
        sender.subscribe()
        sender.until(lambda: len(sender.states()) == 5)
        assert sender.states() == [(f"t{number}", "sent") for number in range(5)]
        assert all(event.payload["is_restored"] for event in sender.host.events)
        sender.host.settle()
    assert server.bodies() == list("01234")
    assert rows(tmp_path) == []


def test_unheard_outcome_comes_again(server: SendServer, tmp_path: Path) -> None:
    with Sender(server, tmp_path) as sender:
        sender.host.consumes = False
        sender.subscribe()
        sender.event_id(sender.send("one", txn_id="t"))
        server.deed = once(refuse(403, "M_FORBIDDEN"))
        sender.host.settle()
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        sender.event_id(sender.send("two", txn_id="u"))
        sender.host.settle()
        assert ("t", "sent") in sender.states()
    assert server.bodies() == ["one", "two"]
    assert rows(tmp_path) == []


def test_without_a_subscription_nothing_is_left(server: SendServer, tmp_path: Path) -> None:
    with Sender(server, tmp_path) as sender:
        for number in range(10):
            sender.event_id(sender.send(str(number)))
    assert rows(tmp_path) == []


def test_the_same_transaction_joins_what_waits(server: SendServer, tmp_path: Path) -> None:
    with Sender(server, tmp_path) as sender:
        stuck(sender, server, 2)
    with Sender(server, tmp_path) as sender:
        requests = [sender.send(str(number), txn_id=f"t{number}") for number in range(3)]
        assert len(sender.call("sends")["sends"]) == 3
        server.start()
        assert [sender.event_id(request) for request in requests] == ["$e0", "$e1", "$e2"]
    assert server.bodies() == list("012")


def test_uncertain_is_never_resent(server: SendServer, tmp_path: Path) -> None:
    server.deed = lambda _: LOSE
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        sender.send("0", txn_id="t0")
        sender.send("1", txn_id="t1")
        sender.until(lambda: [e for e in sender.host.events if e.payload.get("delay_ms")])
    assert server.bodies() == ["0"]
    set_back(tmp_path, 12 * 3_600_000 + 1)
    server.deed = lambda _: TAKE
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        sender.until(lambda: ("t1", "sent") in sender.states())
        first = next(e.payload for e in sender.host.events if e.payload["txn_id"] == "t0")
        assert first["state"] == "failed"
        assert first["failure"]["code"] == "E_SEND_UNCERTAIN"
    assert server.bodies() == ["0", "1"]
    assert len({sending.number for sending in server.sendings if sending.txn_id == "t1"}) == 1


def set_back(store: Path, by_ms: int) -> None:
    database = sqlite3.connect(store / "libmatrix.sqlite3")
    database.execute("UPDATE send SET tried_ms = tried_ms - ?", (by_ms,))
    database.commit()
    database.close()


def test_what_never_left_waits_for_ever(server: SendServer, tmp_path: Path) -> None:
    with Sender(server, tmp_path) as sender:
        stuck(sender, server, 1)
        sender.until(lambda: sender.call("sends")["sends"][0].get("failure"))
    set_back(tmp_path, 30 * 24 * 3_600_000)
    server.start()
    with Sender(server, tmp_path) as sender:
        sender.until(lambda: server.taken)
    assert server.bodies() == ["0"]


def test_shutdown_keeps_sends(server: SendServer, tmp_path: Path) -> None:
    gate = threading.Event()
    server.deed = lambda _: Deed(gate=gate)
    with Sender(server, tmp_path) as sender:
        requests = [sender.send(str(number)) for number in range(3)]
        sender.until(lambda: server.sendings)
        sender.host.send("close_context")
        for request in requests:
            assert sender.code(request) == "E_SHUTDOWN"
    assert len(rows(tmp_path)) == 3
    gate.set()
    with Sender(server, tmp_path) as sender:
        sender.until(lambda: len(server.taken) == 3)
    assert server.bodies() == list("012")


def test_bodies_are_sealed_with_a_passphrase(server: SendServer, tmp_path: Path) -> None:
    with Sender(server, tmp_path, store_passphrase="open") as sender:
        stuck(sender, server, 3)
    assert all(b"m.room.message" not in row[2] for row in rows(tmp_path))
    assert b"m.room.message" not in (tmp_path / "libmatrix.sqlite3").read_bytes()
    server.start()
    with Sender(server, tmp_path, store_passphrase="open") as sender:
        sender.until(lambda: len(server.taken) == 3)
    assert server.bodies() == list("012")


# -- the session ----------------------------------------------------------------------------------


def test_goes_on_with_the_next_login(server: SendServer, tmp_path: Path) -> None:
    ended = {"errcode": "M_UNKNOWN_TOKEN", "error": "expired", "soft_logout": True}
    server.deed = lambda s: Deed(False, 401, ended) if s.token == "old" else TAKE
    with Sender(server, tmp_path, access_token="old") as sender:
        request = sender.send("one")
        sender.until(lambda: server.sendings)
        sender.until(lambda: not sender.call("account")["is_logged_in"])
        assert sender.code(sender.send("two")) == "E_NOT_LOGGED_IN"
        sender.call("login_password", user="me", password="secret")
        assert sender.event_id(request) == "$e0"
    assert server.bodies() == ["one"]


def test_logout_drops_what_waits(server: SendServer, tmp_path: Path) -> None:
    server.deed = lambda sending: DROP if sending.room_id == A else limit(60_000)
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        uncertain, waiting = sender.send("one"), sender.send("two")
        sender.until(lambda: sender.call("sends")["sends"][0].get("failure"))
        sender.call("logout")
        assert sender.code(uncertain) == "E_SEND_UNCERTAIN"
        assert sender.code(waiting) == "E_NOT_LOGGED_IN"
        sender.host.settle()
    assert rows(tmp_path) == []


def test_another_users_sends_are_dropped(server: SendServer, tmp_path: Path) -> None:
    with Sender(server, tmp_path) as sender:
        stuck(sender, server, 2)
    database = sqlite3.connect(tmp_path / "libmatrix.sqlite3")
    database.execute("UPDATE meta SET value = ? WHERE key = 'send_owner'", (b'["@you:x","D"]',))
    database.commit()
    database.close()
    server.start()
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        sender.until(lambda: len(sender.states()) == 2)
        assert {e.payload["failure"]["code"] for e in sender.host.events} == {"E_NOT_LOGGED_IN"}
        sender.host.settle()
    assert server.sendings == []
    assert rows(tmp_path) == []


def test_uncertain_is_another_devices(server: SendServer, tmp_path: Path) -> None:
    server.deed = lambda sending: LOSE if sending.token == "token" else TAKE
    with Sender(server, tmp_path) as sender:
        sender.send("uncertain", txn_id="t0")
        sender.send("waiting", txn_id="t1")
        sender.until(lambda: sender.call("sends")["sends"][0].get("failure"))
    with Sender(server, tmp_path, access_token="new", device_id="E") as sender:
        sender.subscribe()
        sender.until(
            lambda: len([state for _, state in sender.states() if state != "sending"]) == 2
        )
        ends = {e.payload["txn_id"]: e.payload for e in sender.host.events}
        assert ends["t0"]["failure"]["code"] == "E_SEND_UNCERTAIN"
        assert ends["t1"]["state"] == "sent"
    assert [sending.token for sending in server.taken] == ["token", "new"]


@pytest.mark.parametrize("answer", [(200, {"algorithm": "x"}), (403, {"errcode": "M_FORBIDDEN"})])
def test_what_was_tried_in_clear_is_not_repeated_where_others_encrypt_now(
    server: SendServer, tmp_path: Path, answer: Any
) -> None:
    """The first attempt never got there, and somebody enabled encryption while nobody was here."""
    server.deed = lambda _: DROP
    with Sender(server, tmp_path) as sender:
        sender.call("sync_once")
        sender.send("secret", txn_id="t0")
        sender.until(lambda: sender.call("sends")["sends"][0].get("failure"))
    server.deed = lambda _: TAKE
    server.other = lambda _, path, __: answer if "m.room.encryption" in path else None
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        # It might bring the event.
        sender.call("sync_once")
        sender.until(lambda: sender.states()[-1:] == [("t0", "failed")])
        assert sender.host.events[-1].payload["failure"]["code"] == "E_SEND_UNCERTAIN"
    assert server.taken == []


# -- sizes and rooms ------------------------------------------------------------------------------


def test_what_is_too_large_is_not_queued(server: SendServer) -> None:
    with Sender(server) as sender:
        sender.subscribe()
        fits = sender.send("x" * 65_000)
        assert sender.code(sender.send("x" * 65_536)) == "E_TOO_LARGE"
        assert sender.code(sender.send("\n" * 40_000)) == "E_TOO_LARGE"
        assert sender.code(sender.send("\N{GRINNING FACE}" * 17_000)) == "E_TOO_LARGE"
        name = {"room_id": A, "type": "x" * 256, "content": {}}
        wrong = sender.host.submit(sender.client, "send_event", **name)
        assert sender.code(wrong) == "E_TOO_LARGE"
        # Blanks are not sent on.
        blanks = {"room_id": A, "type": "x", "content": {"a": [" "] * 10}}
        sender.event_id(sender.host.submit(sender.client, "send_event", **blanks))
        sender.event_id(fits)
    assert len(server.taken) == 2


def test_an_encrypted_room_without_encryption(server: SendServer, tmp_path: Path) -> None:
    def other(_method: str, path: str, _token: str) -> tuple[int, Any] | None:
        if path.endswith("/m.room.encryption/"):
            return 200, {"algorithm": "m.megolm.v1.aes-sha2"}
        return None

    server.other = other
    with Sender(server, tmp_path, encryption=False) as sender:
        assert sender.code(sender.send("secret")) == "E_ENCRYPTION_UNSUPPORTED"
    assert server.sendings == []
    assert rows(tmp_path) == []


def test_local_echoes(server: SendServer) -> None:
    gate = threading.Event()
    server.deed = lambda _: Deed(gate=gate)
    with Sender(server) as sender:
        echoes = sender.subscribe("message", local_echo=True)
        sender.subscribe("message")
        sender.subscribe("message", local_echo=True, not_own=True)
        sender.subscribe("message", local_echo=True, room_id=B)
        request = sender.send("hi", txn_id="t")
        event = sender.until(lambda: sender.host.events)[0]
        assert event.target == echoes
        assert event.payload["kind"] == "message"
        assert event.payload["is_local"] is True
        assert event.payload["is_own"] is True
        assert event.payload["txn_id"] == "t"
        assert event.payload["body"] == "hi"
        assert event.payload["sender"] == ME
        assert event.payload["event_id"] == "~t"
        gate.set()
        sender.event_id(request)
        assert len(sender.host.events) == 1


def test_many_at_once_are_one_transaction(
    server: SendServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from libmatrix.store.file import Store

    begun: list[int] = []
    transaction = Store.transaction

    def counted(self: Store) -> Any:
        begun.append(1)
        return transaction(self)

    with Sender(server, tmp_path) as sender:
        sender.call("sends")
        sender.subscribe()
        sender.host.settle(0.05)
        monkeypatch.setattr(Store, "transaction", counted)
        server.stop()
        for number in range(300):
            sender.send(str(number), f"!{number}:x", txn_id=f"t{number}")
        sender.until(lambda: [each[1] for each in sender.states()].count("queued") >= 300)
        assert len(rows_of(sender)) == 300
        assert len(begun) < 60
        server.start()


def rows_of(sender: Sender) -> list[Any]:
    found: list[Any] = sender.call("sends")["sends"]
    return found


def test_a_store_that_cannot_be_written(
    server: SendServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from libmatrix.sending.store import SendStore

    def full(*_: object) -> None:
        import sqlite3

        raise sqlite3.OperationalError("database or disk is full")

    with Sender(server, tmp_path) as sender:
        monkeypatch.setattr(SendStore, "_write", full)
        assert sender.code(sender.send("one")) == "E_STORE"
        monkeypatch.undo()
        sender.event_id(sender.send("two"))
    assert server.bodies() == ["two"]


def test_errors_are_judged_by_what_they_say() -> None:
    from libmatrix.errors import DiscoveryError, StoreError, TransportError
    from libmatrix.sending.outcome import judge

    assert judge(TransportError("x", sent=False)) == ("temporary", False)
    assert judge(TransportError("x", sent=True)) == ("temporary", True)
    assert judge(TransportError("x", code="E_INVALID_ARGUMENT")).what == "permanent"
    assert judge(StoreError("x")).what == judge(DiscoveryError("x")).what == "temporary"
    assert judge(MatrixError("x")).what == "permanent"
