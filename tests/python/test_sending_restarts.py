"""Sends that outlive the client they were given to."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from tests.support.runtime_host import CONTEXT
from tests.support.send_server import (
    LOSE,
    ME,
    TAKE,
    Deed,
    SendServer,
    refuse,
)
from tests.support.sender import A, Sender, once, rows, set_back, stuck


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
        sender.consume()
    assert server.bodies() == list("01234")
    assert rows(tmp_path) == []


@pytest.mark.parametrize("passphrase", [None, "open"])
def test_unheard_outcome_comes_again(
    server: SendServer, tmp_path: Path, passphrase: str | None
) -> None:
    """Also to who subscribes while the store is being unlocked."""
    options = {"store_passphrase": passphrase}
    with Sender(server, tmp_path, **options) as sender:
        sender.host.consumes = False
        sender.subscribe()
        sender.event_id(sender.send("one", txn_id="t"))
        server.deed = once(refuse(403, "M_FORBIDDEN"))
        sender.host.settle()
    with Sender(server, tmp_path, **options) as sender:
        sender.subscribe()
        sender.event_id(sender.send("two", txn_id="u"))
        sender.until(lambda: ("t", "sent") in sender.states())
        sender.consume()
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


@pytest.mark.parametrize("end", ["close_context", "close_client"])
def test_what_waits_for_the_store_is_kept_too(server: SendServer, tmp_path: Path, end: str) -> None:
    """The client is closed before its store was unlocked."""
    server.stop()
    with Sender(server, tmp_path, store_passphrase="open") as sender:
        requests = [sender.send(str(number)) for number in range(3)]
        sender.host.send(end, sender.client if end == "close_client" else 0)
        for request in requests:
            assert sender.code(request) in ("E_SHUTDOWN", "E_CANCELLED")
    assert len(rows(tmp_path)) == 3
    server.start()
    with Sender(server, tmp_path, store_passphrase="open") as sender:
        sender.until(lambda: len(server.taken) == 3)
    assert server.bodies() == list("012")


def test_a_store_that_is_being_closed_can_be_opened(server: SendServer, tmp_path: Path) -> None:
    with Sender(server, tmp_path, store_passphrase="open") as sender:
        sender.send("one")
        sender.host.send("close_client", sender.client)
        options = {"store_path": str(tmp_path), "store_passphrase": "open"}
        client = sender.host.client(server.url, access_token="token", user_id=ME, **options)
        sender.host.call(client, "send_text", room_id=A, body="two")


def test_bodies_are_sealed_with_a_passphrase(server: SendServer, tmp_path: Path) -> None:
    with Sender(server, tmp_path, store_passphrase="open") as sender:
        stuck(sender, server, 3)
    assert all(b"m.room.message" not in row[2] for row in rows(tmp_path))
    assert b"m.room.message" not in (tmp_path / "libmatrix.sqlite3").read_bytes()
    server.start()
    with Sender(server, tmp_path, store_passphrase="open") as sender:
        sender.until(lambda: len(server.taken) == 3)
    assert server.bodies() == list("012")


def test_what_was_heard_is_forgotten_beside_the_next_send(
    server: SendServer, tmp_path: Path
) -> None:
    with Sender(server, tmp_path) as sender:
        host = sender.host
        host.consumes = False
        sender.subscribe()
        sender.event_id(sender.send("one"))

        def both_in_one_turn() -> None:
            (mark,) = sender.queue._marked
            host.runtime._host.take_messages()
            # Nobody need be asked whether the room is encrypted.
            body = Raw(msgspec.json.encode({"room_id": A, "event_id": "$1", "key": "two"}))
            host.runtime._request(CONTEXT, sender.client, host.handle(), "send_reaction", body)
            sender.queue.consumed(mark)
            host.runtime._host.end_messages()

        def kept(of: str = "1") -> list[int]:
            found = sender.queue.client.state.disk.rows(f"SELECT send_id FROM send WHERE {of}")
            return [send_id for (send_id,) in found]

        (first,) = sender.until(lambda: host.inside(lambda: kept("outcome IS NOT NULL")))
        # Nothing else has to be written: the answer to the second does not come.
        gate = threading.Event()
        server.deed = lambda _: Deed(gate=gate)
        host.inside(both_in_one_turn)
        try:
            sender.until(lambda: first not in host.inside(kept))
            assert len(sender.call("sends")["sends"]) == 1
        finally:
            gate.set()
