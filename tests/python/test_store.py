"""The store: private, locked, whole or not at all, never replaced."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from libmatrix.auth.session import Session
from libmatrix.errors import StoreError, StoreLockedError
from libmatrix.store.file import Store
from libmatrix.store.state import Changes, State

FILE = "libmatrix.sqlite3"


def filled(folder: Path) -> None:
    state = State(str(folder))
    state.keep_session(Session(user_id="@a:x", device_id="D", access_token="syt_secret_token"))
    changes = Changes()
    changes.next_batch = "s1"
    state.commit(changes)
    state.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "store"
    old = os.umask(0)
    try:
        filled(folder)
    finally:
        os.umask(old)
    assert mode(folder) == 0o700
    assert all(mode(path) == 0o600 for path in folder.iterdir())


def test_a_readable_file_is_made_private(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / FILE).chmod(0o644)
    filled(tmp_path)
    assert mode(tmp_path / FILE) == 0o600


def test_what_was_kept_is_there_again(tmp_path: Path) -> None:
    filled(tmp_path)
    state = State(str(tmp_path))
    assert state.session.access_token == "syt_secret_token"
    assert state.next_batch == "s1"
    state.close()


def test_rooms_that_are_dropped_take_only_their_own_along() -> None:
    """And not longer for what all the others have."""
    state, changes = State(None), Changes()
    changes.next_batch = "s1"
    changes.account_data = {
        "": {f"m.kind{number}": b"{}" for number in range(50_000)},
        "!gone1:x": {"m.tag": b"{}"},
        "!here:x": {"m.tag": b"{}"},
    }
    state.pending = changes
    began = time.process_time()
    for number in range(50_000):
        state.drop_room(f"!gone{number}:x")
    assert time.process_time() - began < 5
    assert state.account_data("!gone1:x", "m.tag") is None
    state.commit(changes)
    assert state.account_data("!gone1:x", "m.tag") is None
    assert state.account_data("!here:x", "m.tag") == b"{}"
    assert len(state.account_data_types()) == 50_000
    state.close()


def test_second_client_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    first = State(str(tmp_path))
    for _ in range(3):
        with pytest.raises(StoreLockedError):
            State(str(tmp_path))
    other = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\nfrom libmatrix.store.state import State\n"
            "from libmatrix.errors import StoreLockedError\n"
            "try: State(sys.argv[1])\nexcept StoreLockedError: print('locked')",
            str(tmp_path),
        ],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout == "locked\n"
    first.keep_session(Session(user_id="@b:x"))
    first.close()
    again = State(str(tmp_path))
    assert again.session.user_id == "@b:x"
    again.close()


@pytest.mark.parametrize("damage", [b"not a database at all, not even a bit" * 30, None])
def test_a_corrupt_file_is_set_aside_and_reported(tmp_path: Path, damage: bytes | None) -> None:
    filled(tmp_path)
    path = tmp_path / FILE
    if damage is None:
        data = bytearray(path.read_bytes())
        data[100:] = os.urandom(len(data) - 100)
        damage = bytes(data)
    path.write_bytes(damage)
    with pytest.raises(StoreError) as raised:
        State(str(tmp_path))
    assert "set aside" in raised.value.message
    (aside,) = tmp_path.glob(FILE + ".corrupt-*")
    assert aside.read_bytes() == damage
    assert not path.exists()
    # Only now, knowing, may one start again.
    State(str(tmp_path)).close()


def test_a_foreign_file_is_left_alone(tmp_path: Path) -> None:
    foreign = sqlite3.connect(tmp_path / FILE)
    foreign.execute("CREATE TABLE precious (thing)")
    foreign.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(StoreError, match="not a store"):
        State(str(tmp_path))
    foreign = sqlite3.connect(tmp_path / FILE)
    assert foreign.execute("SELECT name FROM sqlite_schema").fetchall() == [("precious",)]
    foreign.close()
    assert len(before) == (tmp_path / FILE).stat().st_size


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    newer = sqlite3.connect(tmp_path / FILE)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreError, match="newer"):
        State(str(tmp_path))
    assert (tmp_path / FILE).exists()


def test_an_impossible_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        State(str(tmp_path / "file" / "store"))
    with pytest.raises(StoreError):
        State("nul\0byte")


def test_a_transaction_is_whole_or_nothing(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with pytest.raises(RuntimeError), store.transaction() as writer:
        writer.meta("one", b"1")
        raise RuntimeError
    assert store.meta("one") is None
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.meta("one")


def test_forgetting_leaves_no_secret_in_the_folder(tmp_path: Path) -> None:
    filled(tmp_path)
    state = State(str(tmp_path))
    assert any(b"syt_secret_token" in path.read_bytes() for path in tmp_path.iterdir())
    state.forget()
    assert state.session == Session() and state.next_batch is None
    assert not any(b"syt_secret_token" in path.read_bytes() for path in tmp_path.iterdir())
    state.close()
    assert not any(b"syt_secret_token" in path.read_bytes() for path in tmp_path.iterdir())
