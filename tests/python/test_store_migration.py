"""A store of the first schema is brought up to date, and its rooms know what newer ones do."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from libmatrix.errors import StoreError
from libmatrix.store.schema import _MIGRATIONS
from libmatrix.store.state import State
from tests.support.runtime_host import RuntimeHost

_COUNTED_BY_SQLITE = 6
FILE = "libmatrix.sqlite3"
SCHEMA_1 = """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE room (room_id TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE state (
        room_id TEXT NOT NULL, type TEXT NOT NULL, state_key TEXT NOT NULL, event BLOB NOT NULL,
        PRIMARY KEY (room_id, type, state_key)
    ) WITHOUT ROWID;
    CREATE TABLE account_data (
        room_id TEXT NOT NULL, type TEXT NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (room_id, type)
    ) WITHOUT ROWID;
    PRAGMA application_id = 1836348024;
    PRAGMA user_version = 1;
"""


def data(value: Any) -> bytes:
    return json.dumps(value).encode()


def event(kind: str, **content: Any) -> tuple[str, str, str, bytes]:
    whole = {"type": kind, "state_key": "", "sender": "@a:x", "event_id": "$1", "content": content}
    return "!r", kind, "", data(whole)


def make_version_1(folder: Path) -> None:
    connection = sqlite3.connect(folder / FILE)
    connection.executescript(SCHEMA_1)
    session = {"user_id": "@me:x", "device_id": "D", "access_token": "token"}
    meta = [("session", data(session)), ("next_batch", b"s7")]
    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta)
    room = {"room_id": "!r", "name": "Tea", "shown_name": "Tea", "joined_count": 2}
    connection.execute("INSERT INTO room VALUES (?, ?)", ("!r", data(room)))
    events = [
        event("m.room.create", room_version="12", additional_creators=["@b:x"], type="m.space"),
        event("m.room.tombstone", replacement_room="!new"),
        event("m.room.join_rules", join_rule="knock"),
    ]
    connection.executemany("INSERT INTO state VALUES (?, ?, ?, ?)", events)
    tags = ("!r", "m.tag", data({"tags": {"u.a": {"order": 1}}}))
    connection.execute("INSERT INTO account_data VALUES (?, ?, ?)", tags)
    connection.commit()
    connection.close()


def test_version_1_is_brought_up_to_date(tmp_path: Path) -> None:
    make_version_1(tmp_path)
    for _ in range(2):
        state = State(str(tmp_path))
        room = state.rooms["!r"]
        assert state.next_batch == "s7" and state.session.access_token == "token"
        assert (room.shown_name, room.joined_count) == ("Tea", 2)
        assert (room.version, room.room_type, room.creators) == ("12", "m.space", ["@a:x", "@b:x"])
        assert (room.successor, room.join_rule) == ("!new", "knock")
        assert room.tags == {"u.a": {"order": 1}}
        assert not state.loaded_members
        state.close()
    connection = sqlite3.connect(tmp_path / FILE)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    assert version >= 2
    assert not connection.execute("SELECT * FROM meta WHERE key = 'is_outdated'").fetchall()
    connection.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    make_version_1(tmp_path)
    connection = sqlite3.connect(tmp_path / FILE)
    # What the next schema makes is there already.
    connection.execute("CREATE TABLE members_loaded (other)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError):
        State(str(tmp_path))
    connection = sqlite3.connect(tmp_path / FILE)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("SELECT count(*) FROM room").fetchone() == (1,)
    connection.close()


def test_sends_of_an_older_schema_keep_their_numbers(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE)
    # The schema in which SQLite itself counted the sends.
    for script in _MIGRATIONS[:_COUNTED_BY_SQLITE]:
        connection.executescript(script)
    draft = {"kind": "event", "type": "m.x", "txn_id": "t", "queued_ms": 1, "content": {}}
    rows = [(7, "!r", data(draft)), (9, "!r", data(draft))]
    connection.executemany("INSERT INTO send (send_id, room_id, draft) VALUES (?, ?, ?)", rows)
    connection.execute("DELETE FROM send WHERE send_id = 9")
    connection.execute("PRAGMA application_id = 1836348024")
    connection.execute(f"PRAGMA user_version = {_COUNTED_BY_SQLITE}")
    connection.commit()
    connection.close()
    with RuntimeHost() as host:
        client = host.client(store_path=str(tmp_path), access_token="t", user_id="@me:x")
        (kept,) = host.call(client, "sends")["sends"]
        assert (kept["send_id"], kept["txn_id"]) == (7, "t")
        host.submit(client, "send_text", room_id="!other", body="hi")
        found = host.call(client, "sends")["sends"]
        assert [send["send_id"] for send in found] == [7, 10]


def columns(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The columns of each table of a store that was just opened."""
    State(str(folder)).close()
    connection = sqlite3.connect(folder / FILE)
    query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    tables = [name for (name,) in connection.execute(query)]
    found = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in tables}
    connection.close()
    return found


def test_a_new_store_has_the_tables_of_one_that_was_brought_up_to_date(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    make_version_1(old)
    assert columns(new) == columns(old)
