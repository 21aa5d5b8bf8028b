"""A proxy before Synapse swallows the answers to sends: what a sync brings back is the outcome."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.between import LOST, between
from tests.support.driver import Driver, driver
from tests.support.encrypted import ENCRYPTION
from tests.support.homeserver import Account, Homeserver
from tests.support.rooms import put_state, text
from tests.support.scripted import Answer, Request

pytestmark = pytest.mark.homeserver

SEND = "client:send_text(%s, %s, { txn_id = %s }, function() end) and {}"


@contextmanager
def losing(homeserver: Homeserver, until: threading.Event | None = None) -> Iterator[Homeserver]:
    """The homeserver behind it; each answer to a send is lost, held back before that if asked."""

    def change(request: Request, answer: Answer) -> Answer:
        if request.method != "PUT" or "/rooms/" not in request.path:
            return answer
        if until is not None:
            until.wait(60)
        return LOST

    with between(homeserver.url, change) as proxy:
        yield Homeserver(proxy.url)


@pytest.fixture
def account(homeserver: Homeserver) -> Account:
    return homeserver.account()


def until_failed(client: Driver) -> None:
    """Waits for an attempt of which nobody knows what became."""
    for _ in range(600):
        sends = client.get("client:sends()")["sends"]
        if sends and sends[0].get("failure"):
            return
        client.get("client:ping { delay_ms = 50 }")
    pytest.fail("no attempt was made")


def until_over(client: Driver) -> list[dict[str, Any]]:
    """Syncs until something is over; what was said to be over."""
    for _ in range(30):
        client.sync("{ timeout_ms = 500 }")
        if over := ends(client):
            return over
    pytest.fail("it did not end")


def ends(client: Driver) -> list[dict[str, Any]]:
    return [send for send in client.heard("send") if send["state"] in ("sent", "failed")]


def ids(homeserver: Homeserver, account: Account, room_id: str, kind: str) -> list[str]:
    """The events of one type that are in the room."""
    path = f"/_matrix/client/v3/rooms/{room_id}/messages?dir=b&limit=100"
    chunk = homeserver.request("GET", path, account.token)["chunk"]
    return [event["event_id"] for event in chunk if event["type"] == kind]


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_an_echo_is_the_outcome(
    stage: Path, homeserver: Homeserver, account: Account, tmp_path: Path, is_encrypted: bool
) -> None:
    room_id = homeserver.create_room(account)
    if is_encrypted:
        put_state(homeserver, account, room_id, "m.room.encryption", ENCRYPTION)
    with losing(homeserver) as bad, driver(stage, bad, account, tmp_path) as client:
        client.sync()
        client.hear("send")
        client.do(SEND, room_id, "hello", "t1")
        until_failed(client)
        over = until_over(client)
        assert client.get("client:sends()")["sends"] == []
    kind = "m.room.encrypted" if is_encrypted else "m.room.message"
    assert [(send["state"], send["event_id"]) for send in over] == [
        ("sent", event_id) for event_id in ids(homeserver, account, room_id, kind)
    ]
    assert len(over) == 1


def test_an_echo_before_the_answer(
    stage: Path, homeserver: Homeserver, account: Account, tmp_path: Path
) -> None:
    room_id, gate = homeserver.create_room(account), threading.Event()
    with (
        losing(homeserver, gate) as bad,
        driver(stage, bad, account, tmp_path) as client,
    ):
        client.sync()
        client.hear("send")
        client.do(SEND, room_id, "hello", "t1")
        until_over(client)
        # The answer that comes now says nothing new.
        gate.set()
        client.get("client:ping { delay_ms = 200 }")
        over = ends(client)
        assert client.heard("send")[-1] == over[0]
    assert [send["state"] for send in over] == ["sent"]
    assert [over[0]["event_id"]] == ids(homeserver, account, room_id, "m.room.message")


def test_a_redaction_comes_back_too(
    stage: Path, homeserver: Homeserver, account: Account, tmp_path: Path
) -> None:
    room_id = homeserver.create_room(account)
    event_id = homeserver.send(account, room_id, "m.room.message", text("wrong"))
    with losing(homeserver) as bad, driver(stage, bad, account, tmp_path) as client:
        client.sync()
        client.hear("send")
        client.do("client:redact(%s, %s, {}, function() end) and {}", room_id, event_id)
        until_failed(client)
        over = until_over(client)
    found = ids(homeserver, account, room_id, "m.room.redaction")
    assert [(send["state"], send["event_id"]) for send in over] == [("sent", found[0])]


@pytest.mark.parametrize("age_ms", [0, 13 * 3_600_000])
def test_an_echo_after_a_restart(
    stage: Path, homeserver: Homeserver, account: Account, tmp_path: Path, age_ms: int
) -> None:
    """Also when it is too long ago to try it again."""
    room_id = homeserver.create_room(account)
    with losing(homeserver) as bad:
        with driver(stage, bad, account, tmp_path) as client:
            client.sync()
            client.do(SEND, room_id, "hello", "t1")
            until_failed(client)
        set_back(tmp_path, age_ms)
        with driver(stage, bad, account, tmp_path) as client:
            client.hear("send")
            over = until_over(client)
    assert [(send["state"], send["is_restored"]) for send in over] == [("sent", True)]
    assert [over[0]["event_id"]] == ids(homeserver, account, room_id, "m.room.message")


def set_back(store: Path, by_ms: int) -> None:
    database = sqlite3.connect(store / "libmatrix.sqlite3")
    with database:
        database.execute("UPDATE send SET tried_ms = tried_ms - ?", (by_ms,))
    database.close()
