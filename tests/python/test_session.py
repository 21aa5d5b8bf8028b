"""Sessions: renewal, soft logout, sealing, export; the homeserver answers as scripted."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from libmatrix.auth.session import OAuth, Session, export_text, import_text
from libmatrix.errors import ArgumentError
from tests.support.runtime_host import CONTEXT, SECONDS, RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer

ME = "@me:x"
WORD = "correct horse"


class Tokens:
    """A homeserver that gives out tokens and rotates them."""

    def __init__(self, lifetime_ms: int | None = 300_000) -> None:
        self.lifetime_ms = lifetime_ms
        self.number = 0
        self.soft = True
        self.refresh_answer: Answer | None = None
        self.seen: list[str] = []
        # A renewal is answered when it is set.
        self.gate = threading.Event()
        self.gate.set()
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Answer:
        with self._lock:
            self.seen.append(request.path.rpartition("/")[2])
            if request.path.endswith("/login"):
                self.device = request.body.get("device_id", "MADE")
                assert request.body["refresh_token"] is True
                return Answer({"user_id": ME, "device_id": self.device, **self._fresh()})
            if request.path.endswith("/refresh"):
                assert self.gate.wait(SECONDS)
                if self.refresh_answer is not None:
                    return self.refresh_answer
                assert request.body == {"refresh_token": f"refresh-{self.number}"}
                return Answer(self._fresh())
            if request.headers.get("authorization") != f"Bearer access-{self.number}":
                body = {"errcode": "M_UNKNOWN_TOKEN", "error": "gone", "soft_logout": self.soft}
                return Answer(body, 401)
            if request.path.endswith("/whoami"):
                return Answer({"user_id": ME, "device_id": self.device})
            return Answer({})

    def _fresh(self) -> dict[str, Any]:
        self.number += 1
        given = {
            "access_token": f"access-{self.number}", "refresh_token": f"refresh-{self.number}"
        }  # fmt: skip
        return given if self.lifetime_ms is None else given | {"expires_in_ms": self.lifetime_ms}

    def expire(self) -> None:
        """As if somebody else had renewed the access token: the old one is void."""
        with self._lock:
            self.number += 1


def log_in(host: RuntimeHost, client: int) -> Any:
    return host.call(client, "login_password", user="me", password="p")


# -- renewal --------------------------------------------------------------------------------------


def test_one_renewal_for_all_who_wait(host: RuntimeHost) -> None:
    tokens = Tokens()
    with ScriptedServer(tokens) as server:
        client = host.client(server.url)
        log_in(host, client)
        # The server forgets the access token, and knows the refresh token still.
        tokens.pause = 0.1
        known = tokens.number
        original = tokens.__call__

        def script(request: Request) -> Answer:
            is_old = request.headers.get("authorization") == f"Bearer access-{known}"
            if is_old and not request.path.endswith(("/login", "/refresh")):
                body = {"errcode": "M_UNKNOWN_TOKEN", "error": "x", "soft_logout": True}
                return Answer(body, 401)
            return original(request)

        with ScriptedServer(script) as other:
            session = json.loads(host.call(client, "export_session")["session"])
            session["homeserver"] = other.url
            second = host.client(other.url, session=json.dumps(session))
            asked = [host.submit(second, "whoami") for _ in range(20)]
            for request in asked:
                assert host.wait(request).is_ok
            assert tokens.seen.count("refresh") == 1
    assert not any(f"access-{n}" in str(host.logs) for n in range(9))


def test_a_token_is_renewed_before_it_expires(host: RuntimeHost) -> None:
    tokens = Tokens()
    with ScriptedServer(tokens) as server:
        client = host.client(server.url)
        log_in(host, client)
        host.call(client, "whoami")
        assert "refresh" not in tokens.seen
        assert 0 < host.call(client, "account")["expires_in_ms"] <= 300_000
        host.pass_time(271)
        for _ in range(3):
            host.call(client, "whoami")
        assert tokens.seen.count("refresh") == 1
        assert all(r.headers.get("authorization") != "Bearer access-1" for r in server.requests[3:])


def test_a_renewal_that_fails_on_the_way_ends_nothing(host: RuntimeHost, tmp_path: Path) -> None:
    tokens = Tokens()
    with ScriptedServer(tokens) as server:
        client = host.client(server.url, store_path=str(tmp_path))
        log_in(host, client)
        host.pass_time(271)
        tokens.refresh_answer = Answer({"errcode": "M_UNKNOWN", "error": "later"}, 500)
        # The old token still works there, and not every request tries again.
        for _ in range(5):
            host.call(client, "whoami")
        assert tokens.seen.count("refresh") == 1
        assert host.refuse(client, "refresh_session")["http_status"] == 500
        assert host.call(client, "account")["is_logged_in"]
        tokens.refresh_answer = Answer(b"{", 200)
        assert host.refuse(client, "refresh_session")["code"] == "E_INVALID_RESPONSE"
        tokens.refresh_answer = None
        host.call(client, "refresh_session")
        host.send("close_client", client)
        again = host.client(server.url, store_path=str(tmp_path))
        host.call(again, "whoami")


@pytest.mark.parametrize("soft", [True, False])
def test_a_refused_renewal_ends_the_session(host: RuntimeHost, tmp_path: Path, soft: bool) -> None:
    tokens = Tokens()
    tokens.soft = soft
    with ScriptedServer(tokens) as server:
        client = host.client(server.url, store_path=str(tmp_path))
        first = log_in(host, client)["device_id"]
        gone = {"errcode": "M_UNKNOWN_TOKEN", "error": "gone", "soft_logout": soft}
        tokens.refresh_answer = Answer(gone, 401)
        tokens.expire()
        assert host.refuse(client, "whoami")["code"] == "M_UNKNOWN_TOKEN"
        assert host.refuse(client, "whoami")["code"] == "E_NOT_LOGGED_IN"
        account = host.call(client, "account")
        assert account["user_id"] == ME and not account["is_logged_in"]
        # After a soft logout the device goes on, also in another process.
        assert account.get("device_id") == (first if soft else None)
        host.send("close_client", client)
        client = host.client(server.url, store_path=str(tmp_path))
        log_in(host, client)
        assert ("device_id" in server.requests[-1].body) == soft
        assert "refresh-1" not in str(host.logs)


def test_a_token_refused_at_once_again_is_no_hot_loop(host: RuntimeHost) -> None:
    def script(request: Request) -> Answer:
        if request.path.endswith("/refresh"):
            return Answer({"access_token": f"t{len(server.requests)}"})
        return Answer({"errcode": "M_UNKNOWN_TOKEN", "error": "no", "soft_logout": True}, 401)

    with ScriptedServer(script) as server:
        client = host.client(server.url, access_token="a", refresh_token="r")
        assert host.refuse(client, "whoami")["code"] == "M_UNKNOWN_TOKEN"
        assert len(server.requests) == 3
        assert host.refuse(client, "whoami")["code"] == "E_NOT_LOGGED_IN"


def test_a_cancelled_request_does_not_cancel_the_renewal(host: RuntimeHost) -> None:
    tokens = Tokens(lifetime_ms=None)
    tokens.gate.clear()
    with ScriptedServer(tokens) as server:
        client = host.client(server.url)
        log_in(host, client)
        first = host.submit(client, "refresh_session")
        second = host.submit(client, "refresh_session")
        host.until(lambda: "refresh" in tokens.seen)
        host.bridge.send("cancel", CONTEXT, client, first, "", None)
        assert host.wait(first).payload["code"] == "E_CANCELLED"
        tokens.gate.set()
        assert host.wait(second).is_ok
        assert tokens.seen.count("refresh") == 1


# -- the passphrase -------------------------------------------------------------------------------


def stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_a_sealed_store(host: RuntimeHost, tmp_path: Path) -> None:
    where: dict[str, Any] = {"store_path": str(tmp_path)}
    with ScriptedServer(Tokens()) as server:
        client = host.client(server.url, store_passphrase=WORD, **where)
        log_in(host, client)
        host.send("close_client", client)
        # Asked before the key is made: they wait, in order.
        client = host.client(server.url, store_passphrase=WORD, **where)
        requests = [host.submit(client, "account"), host.submit(client, "whoami")]
        account, me = (host.wait(request).payload for request in requests)
        assert account["is_logged_in"] and me["user_id"] == ME
        host.send("close_client", client)
        for options in ({}, {"store_passphrase": "wrong"}):
            client = host.client(server.url, **options, **where)
            assert host.refuse(client, "account")["code"] == "E_STORE_PASSPHRASE"
            host.send("close_client", client)
        host.settle(0.05)
        data = stored(tmp_path)
        assert b"access-1" not in data and b"refresh-1" not in data
        client = host.client(server.url, store_passphrase=WORD, **where)
        host.call(client, "logout")
        assert WORD not in str(host.logs)


def test_a_store_in_clear_is_sealed_when_a_passphrase_comes(
    host: RuntimeHost, tmp_path: Path
) -> None:
    with ScriptedServer(Tokens()) as server:
        client = host.client(server.url, store_path=str(tmp_path))
        log_in(host, client)
        host.send("close_client", client)
        client = host.client(server.url, store_path=str(tmp_path), store_passphrase=WORD)
        assert host.call(client, "account")["is_logged_in"]
        host.send("close_client", client)
        client = host.client(server.url, store_path=str(tmp_path))
        assert host.refuse(client, "account")["code"] == "E_STORE_PASSPHRASE"


@pytest.mark.parametrize(
    "sealed", [b"\x01", b"\x01\x0f" + bytes(16), b"\x02" * 80, b"\x01\x40" * 40]
)
def test_a_broken_seal(host: RuntimeHost, tmp_path: Path, sealed: bytes) -> None:
    with RuntimeHost() as before:
        before.call(before.client(store_path=str(tmp_path)), "account")
    with sqlite3.connect(tmp_path / "libmatrix.sqlite3") as store:
        store.execute("INSERT OR REPLACE INTO meta VALUES ('session', ?)", (sealed,))
    store.close()
    client = host.client(store_path=str(tmp_path), store_passphrase=WORD)
    assert host.refuse(client, "account")["code"] in ("E_STORE", "E_STORE_PASSPHRASE")


def test_a_passphrase_without_a_store(host: RuntimeHost) -> None:
    error = host.refuse(host.client(store_passphrase=WORD), "account")
    assert error["code"] == "E_INVALID_ARGUMENT" and "store_passphrase" in error["message"]


def test_a_client_closed_while_its_key_is_made(host: RuntimeHost, tmp_path: Path) -> None:
    client = host.client(store_path=str(tmp_path), store_passphrase=WORD)
    request = host.submit(client, "account")
    host.send("close_client", client)
    assert not host.wait(request).is_ok
    client = host.client(store_path=str(tmp_path), store_passphrase=WORD)
    assert not host.call(client, "account")["is_logged_in"]


# -- export and import ----------------------------------------------------------------------------


def test_export_and_import(host: RuntimeHost, tmp_path: Path) -> None:
    with ScriptedServer(Tokens()) as server:
        client = host.client(server.url)
        assert host.refuse(client, "export_session")["code"] == "E_NOT_LOGGED_IN"
        log_in(host, client)
        text = host.call(client, "export_session")["session"]
        fields = json.loads(text)
        assert fields["expires_at_ms"] > time.time() * 1000
        del fields["expires_at_ms"]
        assert fields == {
            "format": "libmatrix.session", "version": 1, "homeserver": server.url, "user_id": ME,
            "device_id": "MADE", "access_token": "access-1", "refresh_token": "refresh-1",
        }  # fmt: skip
        other = host.client(server.url, session=text, store_path=str(tmp_path))
        assert host.call(other, "whoami")["user_id"] == ME
        host.call(other, "refresh_session")
        host.send("close_client", other)
        # The store has newer tokens than the text.
        other = host.client(server.url, session=text, store_path=str(tmp_path))
        host.call(other, "whoami")
        host.send("close_client", other)
        stranger = text.replace(ME, "@you:x")
        other = host.client(server.url, session=stranger, store_path=str(tmp_path))
        assert host.refuse(other, "account")["code"] == "E_STORE"
        assert "refresh-1" not in str(host.logs) and "access-1" not in str(host.logs)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"version": 2}, "newer"), ({"version": 0}, "lacks"), ({"format": "x"}, "not what"),
        ({"access_token": 5}, "not what"), ({"access_token": None}, "lacks"),
        ({"user_id": ""}, "lacks"), ({"oauth": {}}, "not what"),
    ],
)  # fmt: skip
def test_import_refuses(changed: dict[str, Any], why: str) -> None:
    session = Session(user_id=ME, device_id="D", access_token="hunter2", homeserver="http://x")
    fields = json.loads(export_text(session))
    assert import_text(json.dumps({**fields, "later": 1})) == session
    with pytest.raises(ArgumentError, match=why) as caught:
        import_text(json.dumps({**fields, **changed}))
    assert "hunter2" not in str(caught.value)
    for text in ("", "{", "[]", "[" * 9000, '"\ud800"'):
        with pytest.raises(ArgumentError, match="session"):
            import_text(text)


def test_nothing_secret_is_shown() -> None:
    session = Session(
        user_id=ME, access_token="hunter2", refresh_token="hunter3",
        oauth=OAuth(issuer="https://i/", client_id="c"),
    )  # fmt: skip
    assert "hunter" not in repr(session)
    assert session.without_tokens(keeps_device=True).refresh_token is None


# -- logging out ----------------------------------------------------------------------------------


def test_logout_locally_asks_nobody(host: RuntimeHost, tmp_path: Path) -> None:
    with ScriptedServer(Tokens()) as server:
        client = host.client(server.url, store_path=str(tmp_path))
        log_in(host, client)
        count = len(server.requests)
        host.call(client, "logout", local_only=True)
        assert len(server.requests) == count
        assert "user_id" not in host.call(client, "account")
        assert host.refuse(client, "logout")["code"] == "E_NOT_LOGGED_IN"
        host.call(client, "logout", local_only=True)
        both = host.refuse(client, "logout", local_only=True, everywhere=True)
        assert both["code"] == "E_INVALID_ARGUMENT"
        assert b"access-1" not in stored(tmp_path)


# -- where the homeserver is ----------------------------------------------------------------------


def test_a_session_says_where_its_homeserver_is(host: RuntimeHost, tmp_path: Path) -> None:
    """With it, or with a store that has one, `homeserver` is not needed."""
    with ScriptedServer(Tokens()) as server:
        first = host.client(server.url, store_path=str(tmp_path / "one"))
        log_in(host, first)
        text = host.call(first, "export_session")["session"]
        host.send("close_client", first)
        places = [
            {"session": text},
            {"store_path": str(tmp_path / "one")},
            {"session": text, "store_path": str(tmp_path / "two")},
        ]
        for place in places:
            client = host.client(None, **place)
            host.call(client, "whoami")
            assert host.call(client, "account")["homeserver"] == server.url
            host.send("close_client", client)


def test_a_store_remembers_where_an_access_token_is_good(host: RuntimeHost, tmp_path: Path) -> None:
    with ScriptedServer(Tokens()) as server:
        client = host.client(
            server.url, store_path=str(tmp_path), access_token="access-0", user_id="@me:x"
        )
        host.call(client, "account")
        host.send("close_client", client)
        client = host.client(None, store_path=str(tmp_path))
        assert host.call(client, "account")["homeserver"] == server.url


def test_without_any_session_the_homeserver_is_missing(host: RuntimeHost, tmp_path: Path) -> None:
    client = host.client(None, store_path=str(tmp_path))
    for operation in ("account", "login_flows"):
        error = host.refuse(client, operation)
        assert error["code"] == "E_INVALID_ARGUMENT"
        assert error["message"].startswith("homeserver: is missing")
