"""Sends that outlive the session they were made in: tokens, devices and users that change."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from libmatrix.auth.session import OAuth, Session, export_text
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
from tests.support.sender import A, Sender, rows, stuck


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


def test_a_logout_that_cannot_empty_the_store_drops_nothing(
    server: SendServer, tmp_path: Path
) -> None:
    with Sender(server, tmp_path) as sender:
        stuck(sender, server, 1)
        sender.forbid_writes()
        refused = sender.host.refuse(sender.client, "logout", local_only=True)
        assert refused["code"] == "E_STORE"
        assert sender.call("account")["is_logged_in"]
        sender.forbid_writes(is_forbidden=False)
        server.start()
        sender.until(lambda: ("t0", "sent") in sender.states())
        sender.call("logout", local_only=True)
    assert rows(tmp_path) == []
    assert server.bodies() == ["0"]


def test_a_logout_drops_what_was_to_be_kept_at_this_moment(
    server: SendServer, tmp_path: Path
) -> None:
    with Sender(server, tmp_path) as sender:
        sender.event_id(sender.send("one"))
        request, logout = sender.host.inside(
            lambda: (
                sender.send("two"),
                sender.host.submit(sender.client, "logout", local_only=True),
            )
        )
        assert sender.code(request) == "E_NOT_LOGGED_IN"
        assert sender.host.wait(logout).is_ok
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


@pytest.mark.parametrize(("device", "end"), [("D", "sent"), ("E", "failed")])
def test_who_has_another_token_asks_whose_it_is(
    server: SendServer, tmp_path: Path, device: str, end: str
) -> None:
    """What is uncertain is repeated by the same device, and waits until it is known."""
    devices, is_asked = {"token": "D", "new": device}, threading.Event()

    def other(_method: str, path: str, token: str) -> tuple[int, Any] | None:
        if not path.endswith("/whoami"):
            return None
        if token == "new" and not is_asked.is_set():
            is_asked.set()
            return 502, {}
        return 200, {"user_id": ME, "device_id": devices[token]}

    server.other = other
    server.deed = lambda sending: LOSE if sending.number < 2 else TAKE
    options = {"user_id": None, "device_id": None}
    with Sender(server, tmp_path, **options) as sender:
        sender.send("one", txn_id="t")
        sender.until(lambda: sender.call("account").get("device_id"))
        sender.until(lambda: sender.call("sends")["sends"][0].get("failure"))
    with Sender(server, tmp_path, access_token="new", **options) as sender:
        sender.subscribe()
        sender.until(lambda: ("t", end) in sender.states())
        failed = [e.payload for e in sender.host.events if e.payload["state"] == "failed"]
        assert all(each["failure"]["code"] == "E_SEND_UNCERTAIN" for each in failed)
    assert is_asked.is_set()
    assert {sending.token for sending in server.sendings[2:]} == (
        {"new"} if end == "sent" else set()
    )


@pytest.mark.parametrize("token", ["token", "new"])
def test_nobodys_sends_are_sent_with_the_same_token_only(
    server: SendServer, tmp_path: Path, token: str
) -> None:
    """Those of a client that was given a token, and could not ask whose it is."""
    options = {"user_id": None, "device_id": None}
    with Sender(server, tmp_path, **options) as sender:
        stuck(sender, server, 1)
    server.start()
    options |= {"access_token": token} if token == "token" else {"user_id": "@you:x"}
    with Sender(server, tmp_path, **{"access_token": token, **options}) as sender:
        sender.subscribe()
        sender.until(
            lambda: sender.states()[-1:] == [("t0", "sent" if token == "token" else "failed")]
        )
    assert server.bodies() == (["0"] if token == "token" else [])


def test_a_renewed_token_is_the_same_devices(server: SendServer, tmp_path: Path) -> None:
    def other(_method: str, path: str, _token: str) -> tuple[int, Any] | None:
        if path.endswith("/refresh"):
            return 200, {"access_token": "new", "refresh_token": "r"}
        return (404, {"errcode": "M_UNRECOGNIZED"}) if path.endswith("/whoami") else None

    server.other = other
    server.deed = lambda s: refuse(401, "M_UNKNOWN_TOKEN") if s.token == "old" else TAKE
    options = {"access_token": "old", "refresh_token": "r", "user_id": None, "device_id": None}
    with Sender(server, tmp_path, **options) as sender:
        sender.event_id(sender.send("one"))
    assert server.bodies() == ["one"]


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
