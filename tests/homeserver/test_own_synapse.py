"""Tokens that expire at a real homeserver, and one that is killed while a client syncs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.driver import Driver, driver
from tests.support.own_synapse import OwnSynapse

pytestmark = pytest.mark.homeserver

TEXT = {"msgtype": "m.text", "body": "hello"}
LOOP = "client:sync_loop_start({ timeout_ms = 1000, backoff_min_ms = 50, backoff_max_ms = 500 })"
LIFETIME = "3s"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnSynapse]:
    """Its access tokens are good for a moment only."""
    lifetimes = {
        "refreshable_access_token_lifetime": LIFETIME,
        "nonrefreshable_access_token_lifetime": LIFETIME,
    }
    with OwnSynapse(tmp_path_factory.mktemp("synapse"), **lifetimes) as running:
        yield running


def states(host: Driver) -> list[str]:
    return [record["state"] for record in host.heard("sync_state")]


def test_soft_logout(own: OwnSynapse, stage: Path, tmp_path: Path) -> None:
    """Without a refresh token the loop ends with the token; a login goes on with the device."""
    made = own.server.register()
    account = own.server.login(made.user, made.password)
    with driver(stage, own.server, account, tmp_path) as host:
        host.hear("sync_state")
        host.get(LOOP)
        host.until(lambda: "stopped" in states(host))
        assert states(host) == ["syncing", "unauthorized", "stopped"]
        refused = host.take("sync_state")[1]
        assert (refused["code"], refused["soft_logout"]) == ("M_UNKNOWN_TOKEN", True)
        left = host.get("client:account()")
        assert (left["is_logged_in"], left["device_id"]) == (False, account.device_id)
        assert left["next_batch"]
        login = host.get("client:login_password(%s, %s)", made.user, made.password)
        assert login["device_id"] == account.device_id
        # Where the store was, not from the beginning.
        assert host.get("client:account()")["next_batch"] == left["next_batch"]
        host.get(LOOP)
        host.until(lambda: "syncing" in states(host))
        host.get("client:sync_loop_stop()")


def test_tokens_are_refreshed_while_the_loop_runs(
    own: OwnSynapse, stage: Path, tmp_path: Path
) -> None:
    account = own.server.register()
    with driver(stage, own.server, account, tmp_path, access_token="") as host:
        host.hear("sync_state")
        host.get("client:login_password(%s, %s)", account.user, account.password)
        first = host.get("client:export_session()")["session"]
        host.get(LOOP)
        host.until(lambda: host.get("client:export_session()")["session"] != first)
        second = host.get("client:export_session()")["session"]
        host.until(lambda: host.get("client:export_session()")["session"] != second)
        host.get("client:whoami()")
        assert states(host) == ["syncing"]
        host.get("client:sync_loop_stop()")


def test_the_homeserver_is_killed_and_comes_back(
    own: OwnSynapse, stage: Path, tmp_path: Path
) -> None:
    account = own.server.register()
    room_id = own.server.create_room(account)
    with driver(stage, own.server, account, tmp_path, access_token="") as host:
        for kind in ("sync_state", "message"):
            host.hear(kind)
        host.get("client:login_password(%s, %s)", account.user, account.password)
        host.get(LOOP)
        host.until(lambda: "syncing" in states(host))
        own.kill()
        host.until(lambda: states(host).count("reconnecting") >= 3)
        began = time.monotonic()
        before = len(states(host))
        own.start()
        host.until(lambda: states(host)[-1] == "syncing")
        pauses = [record["delay_ms"] for record in host.heard("sync_state")[before:-1]]
        # One attempt for each pause, and every pause sat out.
        assert sum(pauses[:-1]) <= (time.monotonic() - began) * 1000
        sender = own.server.login(account.user, account.password)
        sent = own.server.send(sender, room_id, "m.room.message", TEXT)
        host.until(lambda: sent in [event["event_id"] for event in host.heard("message")])
        host.get("client:sync_loop_stop()")
        assert set(states(host)) == {"syncing", "reconnecting", "stopped"}
