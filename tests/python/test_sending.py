"""The queue of sends, and which rooms and sizes it takes; the store is written as it should be."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from libmatrix.client import Client
from tests.support.runtime_host import SECONDS
from tests.support.send_server import (
    DROP,
    ME,
    TAKE,
    Deed,
    SendServer,
)
from tests.support.sender import A, B, Sender, rows


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


def test_what_waits_for_the_store_goes_first(
    server: SendServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also before what comes at the very moment when it is unlocked."""
    resume, senders = Client._resume_sends, []

    def resume_and_send(client: Client) -> None:
        resume(client)
        if senders:
            requests.append(senders.pop().send("two"))

    monkeypatch.setattr(Client, "_resume_sends", resume_and_send)
    with Sender(server, tmp_path, store_passphrase="open") as sender:
        senders.append(sender)
        requests = [sender.send("one")]
        sender.until(lambda: len(requests) == 2)
        for request in requests:
            sender.event_id(request)
    assert server.bodies() == ["one", "two"]


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


def test_many_at_once_are_one_transaction(
    server: SendServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from libmatrix.store.file import Store

    begun: list[int] = []
    transaction = Store.transaction
    submitted = threading.Event()

    def counted(self: Store) -> Any:
        begun.append(1)
        assert submitted.wait(SECONDS)
        return transaction(self)

    with Sender(server, tmp_path) as sender:
        sender.call("sends")
        sender.subscribe()
        sender.host.settle(0.05)
        monkeypatch.setattr(Store, "transaction", counted)
        server.stop()
        for number in range(300):
            sender.send(str(number), f"!{number}:x", txn_id=f"t{number}")
        submitted.set()
        sender.until(lambda: [each[1] for each in sender.states()].count("queued") >= 300)
        assert len(sender.call("sends")["sends"]) == 300
        assert len(begun) < 60
        server.start()


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


# -- the store ------------------------------------------------------------------------------------


def test_a_store_that_cannot_be_written(server: SendServer, tmp_path: Path) -> None:
    with Sender(server, tmp_path) as sender:
        sender.event_id(sender.send("one"))
        sender.limit_store(pages=1)
        # Alone, and several at once.
        large = "x" * 60_000
        assert sender.code(sender.send(large)) == "E_STORE"
        requests = [sender.send(large) for _ in range(3)]
        assert {sender.code(request) for request in requests} == {"E_STORE"}
        sender.limit_store(pages=1_000_000)
        sender.event_id(sender.send("two"))
    assert server.bodies() == ["one", "two"]


def test_a_defect_ends_the_send_that_it_meets(
    server: SendServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from libmatrix.sending.lane import Lane

    async def fails(*_: object) -> int:
        raise RuntimeError("a defect")

    with Sender(server) as sender:
        with monkeypatch.context() as patch:
            patch.setattr(Lane, "_step", fails)
            requests = [sender.send("one"), sender.send("two")]
            assert [sender.code(request) for request in requests] == ["E_INTERNAL"] * 2
        sender.event_id(sender.send("three"))
    assert server.bodies() == ["three"]
