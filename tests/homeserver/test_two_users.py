"""The operations from C, against a real homeserver."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.homeserver import Account, Homeserver
from tests.support.scenario import tell, two_users

pytestmark = pytest.mark.homeserver

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def write_messages(homeserver: Homeserver, account: Account, count: int) -> str:
    room_id = homeserver.create_room(account)
    for number in range(count):
        content = {"msgtype": "m.text", "body": f"message {number}"}
        homeserver.send(account, room_id, "m.room.message", content)
    return room_id


def test_two_users(run_host: Run, homeserver: Homeserver) -> None:
    run_host("two_users", env=two_users(homeserver))


def test_full_queue_pauses_the_sync(run_host: Run, homeserver: Homeserver) -> None:
    account = homeserver.account()
    write_messages(homeserver, account, 60)
    run_host("slow_consumer", "60", env=tell(homeserver, account))


def test_not_consumed_comes_again(run_host: Run, homeserver: Homeserver, tmp_path: Path) -> None:
    """A host that dies before it has seen a sync's events is given them again; then never more."""
    account = homeserver.account()
    write_messages(homeserver, account, 8)
    given = tell(homeserver, account)
    store = tmp_path / "store"
    run_host("one_sync", store, "abandon", env=given, expect=-signal.SIGKILL)
    assert run_host("one_sync", store, "consume", env=given).stdout == "8\n"
    assert run_host("one_sync", store, "consume", env=given).stdout == "0\n"
    assert {path.stat().st_mode & 0o777 for path in store.rglob("*") if path.is_file()} == {0o600}
