"""The sync loop from C, against a real homeserver."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.homeserver import Account, Homeserver
from tests.support.listening import Listener, listening

pytestmark = pytest.mark.homeserver

Compile = Callable[..., Path]
TEXT = {"msgtype": "m.text", "body": "hello"}


@contextmanager
def live(
    program: Path,
    homeserver: Homeserver,
    account: Account,
    messages: int,
    store: Path | None = None,
    **env: str,
) -> Iterator[Listener]:
    """The host as a user, with long polls."""
    client = {"store_path": str(store)} if store else {}
    loop = {"timeout_ms": 20_000}
    with listening(
        program, homeserver.url, messages, token=account.token, loop=loop, client=client, **env
    ) as listener:
        yield listener


@pytest.fixture(scope="module")
def program(compile_host: Compile) -> Path:
    return compile_host("syncing")


def test_live_messages(program: Path, homeserver: Homeserver) -> None:
    """A long poll ends when something comes; the stop does not wait for the next one."""
    alice = homeserver.account()
    room_id = homeserver.create_room(alice)
    with live(program, homeserver, alice, 3) as listener:
        listener.until("state", "syncing")
        sent = [homeserver.send(alice, room_id, "m.room.message", TEXT) for _ in range(3)]
        heard = listener.finish()
    assert heard.messages == sent
    assert [state[0] for state in heard.states] == ["syncing", "stopped"]


def test_filter_kept_at_the_homeserver(program: Path, homeserver: Homeserver) -> None:
    alice = homeserver.account()
    wanted, other = homeserver.create_room(alice), homeserver.create_room(alice)
    homeserver.send(alice, other, "m.room.message", TEXT)
    event_id = homeserver.send(alice, wanted, "m.room.message", TEXT)
    kept = json.dumps({"room": {"rooms": [wanted]}})
    with live(program, homeserver, alice, 1, MATRIX_FILTER=kept) as listener:
        heard = listener.finish()
    assert heard.messages == [event_id]


def kept_filters(store: Path) -> dict[str, str]:
    with closing(sqlite3.connect(store / "libmatrix.sqlite3")) as connection:
        row = connection.execute("SELECT value FROM meta WHERE key = 'filters'").fetchone()
    found: dict[str, str] = json.loads(row[0])
    return found


def forget_filters(store: Path) -> None:
    """As if the homeserver had lost what it kept."""
    lost = dict.fromkeys(kept_filters(store), "987654")
    with closing(sqlite3.connect(store / "libmatrix.sqlite3")) as connection, connection:
        connection.execute(
            "UPDATE meta SET value = ? WHERE key = 'filters'", [json.dumps(lost).encode()]
        )


def test_the_loop_has_its_filter_kept(
    program: Path, homeserver: Homeserver, tmp_path: Path
) -> None:
    """By id from the second sync on, also the next time; told again when the id is no good."""
    alice = homeserver.account()
    room_id = homeserver.create_room(alice)

    def hear_one() -> None:
        with live(program, homeserver, alice, 2, store=tmp_path) as listener:
            listener.until("state", "syncing")
            sent = [homeserver.send(alice, room_id, "m.room.message", TEXT) for _ in range(2)]
            heard = listener.finish()
        assert heard.messages == sent

    hear_one()
    [(text, first)] = kept_filters(tmp_path).items()
    path = f"/_matrix/client/v3/user/{alice.user_id}/filter/{first}"
    assert homeserver.request("GET", path, alice.token) == json.loads(text)
    assert json.loads(text)["room"]["state"]["lazy_load_members"] is True
    hear_one()
    assert kept_filters(tmp_path) == {text: first}
    forget_filters(tmp_path)
    hear_one()
    # The homeserver knows its own filters again by what is in them.
    assert kept_filters(tmp_path)[text] != "987654"


def send_to_device(
    homeserver: Homeserver,
    sender: Account,
    target: Account,
    content: Any,
    kind: str = "org.example.poison",
) -> None:
    path = f"/_matrix/client/v3/sendToDevice/{kind}/{secrets.token_hex(8)}"
    body = {"messages": {target.user_id: {target.device_id: content}}}
    homeserver.request("PUT", path, sender.token, body)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "poison", [{"n": int("9" * 30)}, {"n": nested(900)}], ids=["30 digits", "900 levels"]
)
def test_poison_sent_to_a_device(program: Path, homeserver: Homeserver, poison: Any) -> None:
    """Any user may send it, and the homeserver passes it on: it is left out, the loop goes on."""
    alice, mallory = homeserver.account(), homeserver.account()
    room_id = homeserver.create_room(alice)
    with live(program, homeserver, alice, 1) as listener:
        listener.until("state", "syncing")
        send_to_device(homeserver, mallory, alice, poison)
        send_to_device(homeserver, mallory, alice, {"n": 1}, "org.example.sound")
        listener.until("device", "org.example.sound")
        event_id = homeserver.send(alice, room_id, "m.room.message", TEXT)
        heard = listener.finish()
    assert heard.messages == [event_id]
    assert heard.devices == ["org.example.sound"]
    assert sum(int(sync[1]) for sync in heard.syncs) == 1
    assert [state[0] for state in heard.states] == ["syncing", "stopped"]
