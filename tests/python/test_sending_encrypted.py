"""Sends to an encrypted room: encrypted once, and repeated as they were."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libmatrix.errors import StoreError
from tests.support.send_server import LOSE, ME, TAKE, Deed, Sending, SendServer, refuse
from tests.support.sender import A
from tests.support.sender import Sender as ClearSender

ENCRYPTION = {"algorithm": "m.megolm.v1.aes-sha2"}
MEMBER = {
    "type": "m.room.member",
    "state_key": ME,
    "sender": ME,
    "event_id": "$m",
    "origin_server_ts": 1,
    "content": {"membership": "join"},
}


def other(_method: str, path: str, _token: str) -> tuple[int, Any] | None:
    if path.endswith("/m.room.encryption/"):
        return 200, ENCRYPTION
    if path.endswith("/keys/upload"):
        return 200, {"one_time_key_counts": {"signed_curve25519": 50}}
    if path.endswith("/keys/query"):
        return 200, {"device_keys": {}}
    if path.endswith("/members"):
        return 200, {"chunk": [MEMBER]}
    return None


class Sender(ClearSender):
    """A client that encrypts."""

    def __init__(self, server: SendServer, store: Path, **options: Any) -> None:
        super().__init__(server, store, encryption=True, **options)


@pytest.fixture
def server() -> Iterator[SendServer]:
    with SendServer() as running:
        running.other = other
        yield running


def kept(store: Path) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(store / "libmatrix.sqlite3")
    try:
        return database.execute("SELECT tried_ms, frozen FROM send").fetchall()
    finally:
        database.close()


def test_repeated_as_it_was_encrypted(server: SendServer, tmp_path: Path) -> None:
    server.deed = lambda sending: LOSE if sending.number < 4 else TAKE
    with Sender(server, tmp_path) as sender:
        sender.event_id(sender.send("secret"))
        sender.event_id(sender.send("another"))
    attempts = [sending for sending in server.sendings if sending.number < 5]
    assert len({sending.txn_id for sending in attempts}) == 1
    assert all(sending.body == attempts[0].body for sending in attempts)
    assert [sending.parts[0] for sending in server.taken] == ["m.room.encrypted"] * 2
    texts = [sending.body["ciphertext"] for sending in server.taken]
    assert texts[0] != texts[1]


def test_the_same_after_a_restart(server: SendServer, tmp_path: Path) -> None:
    server.deed = lambda _: LOSE
    with Sender(server, tmp_path) as sender:
        sender.send("secret", txn_id="t")
        sender.until(lambda: sender.call("sends")["sends"][0].get("failure"))
        assert sender.call("sends")["sends"][0]["content"]["body"] == "secret"
    [(tried_ms, frozen)] = kept(tmp_path)
    assert tried_ms is not None
    assert b"m.room.encrypted" in frozen
    server.deed = lambda _: TAKE
    before = len(server.sendings)
    with Sender(server, tmp_path) as sender:
        sender.until(lambda: len(server.sendings) > before)
        sender.until(lambda: sender.call("sends")["sends"] == [])
        sender.event_id(sender.send("another"))
    first, again = server.sendings[0], server.sendings[before]
    assert (again.txn_id, again.body) == ("t", first.body)
    assert len(server.taken) == 2
    # The ratchet went on: no two messages are alike, also over a restart.
    assert server.taken[0].body["ciphertext"] != server.taken[1].body["ciphertext"]


def test_encrypted_anew_where_it_never_left(server: SendServer, tmp_path: Path) -> None:
    ended = refuse(429, "M_LIMIT_EXCEEDED", retry_after_ms=20)
    server.deed = lambda sending: ended if sending.number == 0 else TAKE
    with Sender(server, tmp_path) as sender:
        sender.event_id(sender.send("secret"))
    # What is frozen stays: its place in the ratchet is used up.
    assert server.sendings[0].body == server.sendings[1].body


def test_cancelled_while_keys_are_asked_for(server: SendServer, tmp_path: Path) -> None:
    asked, goes_on = threading.Event(), threading.Event()

    def slow(method: str, path: str, token: str) -> tuple[int, Any] | None:
        if path.endswith("/keys/query"):
            asked.set()
            goes_on.wait(20)
        return other(method, path, token)

    server.other = slow
    with Sender(server, tmp_path) as sender:
        request = sender.send("secret")
        sender.until(asked.is_set)
        waiting = sender.call("sends")["sends"]
        assert sender.call("cancel_send", send_id=waiting[0]["send_id"])["is_cancelled"] is False
        goes_on.set()
        assert sender.code(request) == "E_CANCELLED"
    assert server.sendings == []
    assert kept(tmp_path) == []


def test_too_large_only_when_encrypted(server: SendServer, tmp_path: Path) -> None:
    with Sender(server, tmp_path) as sender:
        assert sender.code(sender.send("x" * 60_000)) == "E_TOO_LARGE"
        sender.event_id(sender.send("x" * 40_000))
    assert len(server.taken) == 1
    assert kept(tmp_path) == []


def test_reactions_stay_in_clear(server: SendServer, tmp_path: Path) -> None:
    with Sender(server, tmp_path) as sender:
        reaction = {"room_id": A, "event_id": "$e", "key": "+"}
        sender.event_id(sender.host.submit(sender.client, "send_reaction", **reaction))
    assert [sending.parts[0] for sending in server.taken] == ["m.reaction"]


def test_no_repeat_in_clear_once_it_is_known_to_be_encrypted(
    server: SendServer, tmp_path: Path
) -> None:
    room = {"timeline": {"events": [{**MEMBER, "unsigned": {}}]}}
    synced: dict[str, Any] = {"next_batch": "s1", "rooms": {"join": {A: room}}}

    def clear(_method: str, path: str, _token: str) -> tuple[int, Any] | None:
        return (200, synced) if path.endswith("/sync") else None

    server.other = clear
    server.deed = lambda _: Deed(False, None)
    with Sender(server, tmp_path) as sender:
        sender.call("sync_once")
        request = sender.send("said in clear")
        sender.until(lambda: sender.call("sends")["sends"][0].get("failure"))
        change = {"type": "m.room.encryption", "state_key": "", "content": ENCRYPTION}
        room["timeline"]["events"] = [{**MEMBER, "event_id": "$enc", **change}]
        synced["next_batch"] = "s2"
        sender.call("sync_once")
        assert sender.code(request) == "E_SEND_UNCERTAIN"


def test_the_clear_text_is_sealed(server: SendServer, tmp_path: Path) -> None:
    server.deed = lambda _: LOSE
    with Sender(server, tmp_path, store_passphrase="open") as sender:
        sender.send("a secret that nobody reads")
        sender.until(lambda: sender.call("sends")["sends"][0].get("failure"))
    files = [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()]
    assert all(b"a secret that nobody reads" not in data for data in files)


def test_sending_is_known(server: SendServer, tmp_path: Path) -> None:
    def deed(sending: Sending) -> Deed:
        assert sending.parts[0] == "m.room.encrypted"
        return TAKE

    server.deed = deed
    with Sender(server, tmp_path) as sender:
        sender.subscribe(with_content=True)
        sender.subscribe("message", local_echo=True)
        sender.event_id(sender.send("secret", txn_id="t"))
        sender.until(lambda: ("t", "sent") in sender.states())
        events = [event.payload for event in sender.host.events]
        echo = next(event for event in events if event["kind"] == "message")
        assert echo["body"] == "secret"
        sent = [event for event in events if event["kind"] == "send"]
        assert {event["type"] for event in sent} == {"m.room.message"}
        assert sent[-1]["content"]["body"] == "secret"


@pytest.mark.parametrize("kept", [{}, {"rotation_period_ms": 5, "rotation_period_msgs": 6}])
def test_nothing_overtakes_what_enables_encryption(
    server: SendServer, tmp_path: Path, kept: dict[str, int]
) -> None:
    """Also where a sync has just said that the room is not encrypted."""
    joined = {"rooms": {"join": {A: {"state": {"events": [MEMBER]}}}}, "next_batch": "s1"}
    is_on = threading.Event()

    def answer(method: str, path: str, token: str) -> tuple[int, Any] | None:
        if path.endswith("/sync"):
            return 200, joined
        if path.endswith("/m.room.encryption/") and not (kept or is_on.is_set()):
            return 404, {"errcode": "M_NOT_FOUND"}
        if path.endswith("/m.room.encryption/"):
            return 200, ENCRYPTION | kept
        return other(method, path, token)

    def deed(sending: Sending) -> Deed:
        if sending.kind == "state":
            is_on.set()
        return TAKE

    server.other, server.deed = answer, deed
    with Sender(server, tmp_path) as sender:
        sender.call("sync_once")
        options = {"room_id": A, "rotation_period_msgs": 7}
        first = sender.host.submit(sender.client, "enable_encryption", **options)
        second = sender.send("secret")
        assert [sender.event_id(first), sender.event_id(second)] == ["$e0", "$e1"]
    assert [sending.parts[0] for sending in server.taken] == [
        "m.room.encryption",
        "m.room.encrypted",
    ]
    assert server.taken[0].body == ENCRYPTION | kept | {"rotation_period_msgs": 7}


def test_encryption_that_cannot_be_kept_is_on_all_the_same(
    server: SendServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = {"rooms": {"join": {A: {"state": {"events": [MEMBER]}}}}, "next_batch": "s1"}
    server.other = lambda *asked: (200, joined) if asked[1].endswith("/sync") else other(*asked)

    def fail(*_: object) -> None:
        raise StoreError("the disk is full")

    with Sender(server, tmp_path) as sender:
        sender.call("sync_once")
        room = sender.host.inside(lambda: sender.queue.client.state.rooms[A])
        with monkeypatch.context() as patch:
            patch.setattr("libmatrix.store.state.State._remember_encrypted", fail)
            request = sender.host.submit(sender.client, "enable_encryption", room_id=A)
            sender.event_id(request)
        assert room.is_encrypted
        assert [log["code"] for log in sender.host.logs if log["level"] == "error"] == ["E_STORE"]
        sender.event_id(sender.send("secret"))
    assert server.taken[-1].parts[0] == "m.room.encrypted"
