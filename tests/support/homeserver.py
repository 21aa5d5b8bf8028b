"""A real homeserver for tests, demo and benchmarks.

    with homeserver() as server:
        alice = server.register()
        server.request("POST", "/_matrix/client/v3/createRoom", alice.token, {"name": "Tea"})

All users of one folder share one Synapse, also across processes; it ends with the last of them,
however that ends. From a shell: `python -m tests.support.homeserver`. `MATRIX_TEST_HOMESERVER`
names a server of one's own instead; its accounts are then `MATRIX_TEST_USER` with
`MATRIX_TEST_PASSWORD`, `MATRIX_TEST_USER2` with `MATRIX_TEST_PASSWORD2`, and so on.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support import client, synapse
from tests.support.client import HomeserverError, Json

__all__ = ["Account", "Homeserver", "HomeserverError", "Json", "homeserver"]

SHARED = synapse.ROOT / "build" / "homeserver" / "shared"


@dataclass(frozen=True)
class Account:
    """A user that exists: what one logs in with, and a token that already works."""

    user: str
    password: str
    user_id: str
    token: str
    device_id: str


@dataclass
class Homeserver:
    """A running homeserver. `tls_url` and `ca_file` are empty where it speaks no TLS."""

    url: str
    tls_url: str = ""
    ca_file: str = ""
    secret: str = field(default="", repr=False)
    folder: Path | None = None
    _given: int = 0

    @property
    def is_own(self) -> bool:
        """False for a server named by the environment, where nobody can be registered."""
        return bool(self.secret)

    def request(
        self, method: str, path: str, token: str | None = None, body: Json | None = None
    ) -> Json:
        """One request; raises `HomeserverError` unless the answer is a 2xx."""
        return client.request(self.url, method, path, token, body, ca_file=self.ca_file or None)

    def register(
        self, user: str | None = None, password: str | None = None, *, admin: bool = False
    ) -> Account:
        """A new account with a name that nobody has yet, unless one is given."""
        if not self.is_own:
            raise RuntimeError("only a homeserver of our own registers users; use account()")
        path = "/_synapse/admin/v1/register"
        name = user or f"user-{secrets.token_hex(6)}"
        word = password or secrets.token_urlsafe(12)
        nonce = self.request("GET", path)["nonce"]
        role = "admin" if admin else "notadmin"
        message = b"\0".join(text.encode() for text in (nonce, name, word, role))
        mac = hmac.new(self.secret.encode(), message, hashlib.sha1).hexdigest()
        fields = {"nonce": nonce, "username": name, "password": word, "admin": admin}
        fields["mac"] = mac
        return _account(name, word, self.request("POST", path, body=fields))

    def login(self, user: str, password: str) -> Account:
        """Another device of a user that exists."""
        identifier = {"type": "m.id.user", "user": user}
        fields = {"type": "m.login.password", "identifier": identifier, "password": password}
        answer = self.request("POST", "/_matrix/client/v3/login", body=fields)
        return _account(user, password, answer)

    def login_token(self, account: Account) -> str:
        """A login token for another device of the account; it works once."""
        answer = self.request("POST", "/_matrix/client/v1/login/get_token", account.token, {})
        return str(answer["login_token"])

    def registration_token(self) -> str:
        """A token that one account can be registered with."""
        path = "/_synapse/admin/v1/registration_tokens/new"
        admin = self.register(admin=True)
        return str(self.request("POST", path, admin.token, {"uses_allowed": 1})["token"])

    def add_email(self, account: Account, address: str) -> None:
        """Gives an account an address to log in with."""
        admin = self.register(admin=True)
        fields = {"threepids": [{"medium": "email", "address": address}]}
        path = f"/_synapse/admin/v2/users/{quote(account.user_id)}"
        self.request("PUT", path, admin.token, fields)

    def account(self) -> Account:
        """An account to use: newly registered, or the next one that the environment names."""
        if self.is_own:
            return self.register()
        self._given += 1
        suffix = "" if self._given == 1 else str(self._given)
        user = os.environ.get(f"MATRIX_TEST_USER{suffix}", "")
        if not user:
            raise RuntimeError(f"MATRIX_TEST_USER{suffix} names no account to use")
        return self.login(user, os.environ.get(f"MATRIX_TEST_PASSWORD{suffix}", ""))

    def create_room(self, account: Account, **fields: Any) -> str:
        """A room of this user, by the fields of the protocol's createRoom; gives its id."""
        path = "/_matrix/client/v3/createRoom"
        return str(self.request("POST", path, account.token, fields)["room_id"])

    def join(self, account: Account, room_id: str) -> None:
        """Accepts an invitation, or enters a public room."""
        path = f"/_matrix/client/v3/join/{quote(room_id)}"
        self.request("POST", path, account.token, {})

    def send(self, account: Account, room_id: str, kind: str, content: Json) -> str:
        """Sends one event, whatever its content; gives its id."""
        path = f"/_matrix/client/v3/rooms/{quote(room_id)}/send/{quote(kind)}"
        answer = self.request("PUT", f"{path}/{secrets.token_hex(8)}", account.token, content)
        return str(answer["event_id"])


def _account(user: str, password: str, answer: Json) -> Account:
    return Account(user, password, answer["user_id"], answer["access_token"], answer["device_id"])


@contextlib.contextmanager
def homeserver(folder: Path = SHARED, *, tls: bool = True) -> Iterator[Homeserver]:
    """A homeserver: the environment's, the one that runs in this folder, or a new one there."""
    if given := os.environ.get("MATRIX_TEST_HOMESERVER"):
        yield Homeserver(given.rstrip("/"), ca_file=os.environ.get("MATRIX_TEST_CA_FILE", ""))
        return
    with contextlib.ExitStack() as stack:
        state = _enter(folder, tls, stack)
        yield Homeserver(
            url=f"http://{synapse.HOST}:{state['port']}",
            tls_url=f"https://localhost:{state['tls_port']}" if state["tls_port"] else "",
            ca_file=state["ca_file"],
            secret=state["secret"],
            folder=folder,
        )


def _enter(folder: Path, tls: bool, stack: contextlib.ExitStack) -> Json:
    """Becomes one of the folder's users, and starts the server if there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "start.lock").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        users = (folder / "users.lock").open("w")
        process = None
        try:
            # Waits while a supervisor that saw its last user go is stopping its server.
            fcntl.flock(users, fcntl.LOCK_SH)
            if not synapse.is_running(folder):
                process = _start(folder, tls)
                # Who has a folder of its own wants the server gone; a shared one may go on.
                if folder != SHARED:
                    stack.callback(_wait_for_end, process)
        finally:
            stack.enter_context(users)
        return _wait_for_state(folder, process)


def _start(folder: Path, tls: bool) -> subprocess.Popen[bytes]:
    if not synapse.PYTHON.exists():
        raise RuntimeError("no Synapse yet: run `python3 packaging/bootstrap synapse`")
    synapse.empty(folder)
    return synapse.spawn_supervisor(folder, tls)


def _wait_for_end(process: subprocess.Popen[bytes]) -> None:
    """Bounded, because somebody else may have come to use the same folder."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(15)


def _wait_for_state(folder: Path, process: subprocess.Popen[bytes] | None) -> Json:
    while not (folder / "state.json").exists():
        if process and process.poll() is not None and not (folder / "state.json").exists():
            raise RuntimeError(f"Synapse did not start:\n{synapse.tail(folder)}")
        time.sleep(0.02)
    state: Json = json.loads((folder / "state.json").read_text())
    if "error" in state:
        (folder / "state.json").unlink()
        raise RuntimeError(state["error"])
    return state


def _serve(folder: Path, tls: bool) -> None:
    """Runs a server until Ctrl-C, and shows how to use it."""
    print("# starting Synapse", flush=True)
    with homeserver(folder, tls=tls) as server:
        _show(server, server.account(), server.account())
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                signal.pause()
        print("# stopping", flush=True)


def _show(server: Homeserver, first: Account, second: Account) -> None:
    """What programs and tests are told by the environment."""
    room_id = server.create_room(first, name="Try it", invite=[second.user_id])
    server.join(second, room_id)
    print("# for programs, in another terminal; the second account is in the room too")
    print(f"export MATRIX_HOMESERVER={server.url} MATRIX_ROOM='{room_id}'")
    print(f"export MATRIX_USER={first.user} MATRIX_PASSWORD={first.password}")
    print(f"# second: export MATRIX_USER={second.user} MATRIX_PASSWORD={second.password}")
    print("# for the tests")
    print(f"export MATRIX_TEST_HOMESERVER={server.url}")
    for suffix, account in (("", first), ("2", second)):
        print(f"export MATRIX_TEST_USER{suffix}={account.user}")
        print(f"export MATRIX_TEST_PASSWORD{suffix}={account.password}")
    if server.tls_url:
        print(f"# with TLS: {server.tls_url}, authority {server.ca_file}")
    print("# Ctrl-C stops it", flush=True)


def main() -> int:
    """The command line: serve until interrupted; `--supervise` is for this module itself."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.homeserver")
    parser.add_argument("--folder", type=Path, default=SHARED, help="where its files are")
    tls = argparse.BooleanOptionalAction
    parser.add_argument("--tls", action=tls, default=True, help="TLS by a private authority too")
    parser.add_argument("--supervise", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.supervise:
        return synapse.Supervisor(options.supervise, options.tls).run()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        _serve(options.folder.resolve(), options.tls)
    return 0


if __name__ == "__main__":
    sys.exit(main())
