"""Sends that outlive the client they were given to, or its session."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from libmatrix.auth.session import OAuth, Session, export_text
from tests.support.runtime_host import CONTEXT
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


def test_the_token_ends_while_nothing_can_be_kept(server: SendServer, tmp_path: Path) -> None:
    """In memory it has ended, and the new one begun: sends go by that, and nothing spins."""
    ended = {"errcode": "M_UNKNOWN_TOKEN", "error": "expired", "soft_logout": True}
    server.other = lambda _method, _path, token: (401, ended) if token == "old" else None
    with Sender(server, tmp_path, access_token="old") as sender:
        stuck(sender, server, 1)
        sender.forbid_writes()
        server.start()
        sender.call("retry_sends")
        sender.until(lambda: not sender.call("account")["is_logged_in"])
        login = {"user": "me", "password": "secret"}
        assert sender.host.refuse(sender.client, "login_password", **login)["code"] == "E_STORE"
        assert sender.call("account")["is_logged_in"]
        sender.forbid_writes(is_forbidden=False)
        sender.event_id(sender.send("1"))
    assert server.bodies() == ["0", "1"]
    assert {sending.token for sending in server.taken} == {"token"}


def test_without_a_token_no_room_spins(server: SendServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps the queue from hearing that the session is over."""
    monkeypatch.setattr("libmatrix.sending.queue.SendQueue.session_changed", lambda _: None)
    server.deed = lambda _: refuse(401, "M_UNKNOWN_TOKEN", soft_logout=True)
    with Sender(server) as sender:
        sender.subscribe()
        sender.send("one")
        sender.until(lambda: [e for e in sender.host.events if e.payload["attempt"] > 1])
        assert not sender.call("account")["is_logged_in"]
        delays = [e.payload.get("delay_ms") for e in sender.host.events if e.payload.get("failure")]
        assert delays
        assert all(delays[1:])


@pytest.mark.parametrize("status", [400, 405, 429, 500, 503])
@pytest.mark.parametrize("is_oauth", [True, False])
def test_a_renewal_that_fails_for_a_while_fails_no_send(
    server: SendServer, tmp_path: Path, status: int, is_oauth: bool
) -> None:
    """Surely not taken is what was answered 401, whatever became of the renewal."""
    is_well = threading.Event()
    tokens = {"access_token": "new", "refresh_token": "r", "token_type": "Bearer"}
    ends = ("authorization", "token", "registration", "revocation")
    metadata = {f"{end}_endpoint": f"{server.url}/{end}" for end in ends}
    metadata |= {"issuer": f"{server.url}/", "code_challenge_methods_supported": ["S256"]}
    metadata["response_types_supported"] = ["code"]
    metadata["response_modes_supported"] = ["query", "fragment"]
    metadata["grant_types_supported"] = ["authorization_code", "refresh_token"]

    def other(_method: str, path: str, _token: str) -> tuple[int, Any] | None:
        if path.endswith("/auth_metadata"):
            return 200, metadata
        if path.endswith(("/refresh", "/token")):
            return (200, tokens) if is_well.is_set() else (status, {"errcode": "M_UNKNOWN"})
        return None

    server.other = other
    server.deed = lambda s: refuse(401, "M_UNKNOWN_TOKEN") if s.token == "old" else TAKE
    oauth = OAuth(issuer=f"{server.url}/", client_id="c") if is_oauth else None
    session = Session(
        user_id=ME,
        device_id="D",
        access_token="old",
        refresh_token="r",
        homeserver=server.url,
        oauth=oauth,
    )
    options = {"user_id": None, "device_id": None, "access_token": None}
    with Sender(server, tmp_path, session=export_text(session), **options) as sender:
        sender.subscribe()
        # Nobody need be asked whether the room is encrypted.
        arguments = {"room_id": A, "event_id": "$1", "key": "one", "txn_id": "t"}
        request = sender.host.submit(sender.client, "send_reaction", **arguments)
        sender.until(lambda: [e for e in sender.host.events if e.payload.get("failure")])
        [waiting] = sender.call("sends")["sends"]
        assert "renewed" in waiting["failure"]["message"]
        disk = sender.queue.client.state.disk
        tried = "SELECT 1 FROM send WHERE tried_ms IS NOT NULL"
        sender.until(lambda: not sender.host.inside(lambda: list(disk.rows(tried))))
        is_well.set()
        sender.call("retry_sends")
        sender.event_id(request)
    assert [sending.token for sending in server.taken] == ["new"]


def test_logout_drops_what_waits(server: SendServer, tmp_path: Path) -> None:
    server.deed = lambda sending: DROP if sending.room_id == A else limit(60_000)
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        uncertain, waiting = sender.send("one"), sender.send("two")
        sender.until(lambda: sender.call("sends")["sends"][0].get("failure"))
        sender.call("logout")
        assert sender.code(uncertain) == "E_SEND_UNCERTAIN"
        assert sender.code(waiting) == "E_NOT_LOGGED_IN"
        sender.consume()
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
        sender.consume()
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


@pytest.mark.parametrize("loses", [0, 2])
@pytest.mark.parametrize("is_taken", [True, False])
def test_what_is_on_its_way_is_the_old_devices(
    server: SendServer, loses: int, is_taken: bool
) -> None:
    """It is answered when the client has become another device: nothing is sent twice."""
    gate, ended = threading.Event(), {"errcode": "M_UNKNOWN_TOKEN", "error": "gone"}

    def deed(sending: Sending) -> Deed:
        if sending.token == "new":
            return TAKE
        if sending.number < loses:
            # The first attempt, which HTTP repeats once.
            return LOSE
        return Deed(status=None, gate=gate) if is_taken else Deed(False, 401, ended, gate=gate)

    def other(_method: str, path: str, token: str) -> tuple[int, Any] | None:
        if path.endswith("/login"):
            return 200, {"user_id": ME, "device_id": "NEW", "access_token": "new"}
        return (401, ended) if path.endswith("/whoami") and token == "old" else None

    server.deed, server.other = deed, other
    with Sender(server, access_token="old") as sender:
        request = sender.send("one")
        sender.until(lambda: len(server.sendings) > loses)
        assert sender.host.refuse(sender.client, "whoami")["code"] == "M_UNKNOWN_TOKEN"
        login = sender.call("login_password", user="me", password="secret")
        assert login["device_id"] == "NEW"
        gate.set()
        if is_taken or loses:
            assert sender.code(request) == "E_SEND_UNCERTAIN"
        else:
            # Surely not taken: the new device sends it.
            sender.event_id(request)
    assert len(server.taken) == 1


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
