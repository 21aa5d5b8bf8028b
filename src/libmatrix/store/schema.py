"""The tables of a client's store, and how a file of an older libmatrix is brought up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from libmatrix.errors import StoreError

# "mtrx": tells a store from any other SQLite file.
_APPLICATION = 0x6D747278

_CRYPTO = (
    "crypto_value",
    "olm_session",
    "olm_received",
    "room_key",
    "unsaved_room_key",
    "message_index",
    "outbound_session",
    "session_share",
    "withheld_key",
    "undecrypted_event",
    "tracked_user",
    "device",
    "identity",
    "key_request",
    "secret",
    "encrypted_room",
)
_LIMITED = ("unused_room_key", "stranger_session")
_HIDDEN = ("hidden_event",)


def _crypto_tables(names: Iterable[str]) -> str:
    return "".join(
        f"CREATE TABLE {name} (first TEXT NOT NULL, second TEXT NOT NULL, value BLOB NOT NULL,"
        " PRIMARY KEY (first, second)) WITHOUT ROWID;"
        for name in names
    )


_FIRST = """
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
    """
_MEMBERS = "CREATE TABLE members_loaded (room_id TEXT PRIMARY KEY) WITHOUT ROWID;"


def _send_table(name: str, numbers: str = "") -> str:
    return f"""
    CREATE TABLE {name} (
        send_id INTEGER PRIMARY KEY {numbers}, room_id TEXT NOT NULL, draft BLOB NOT NULL,
        tried_ms INTEGER, frozen BLOB, outcome BLOB, ended_ms INTEGER
    );
    """


# What brings the schema from each version to the next; only ever appended to.
_MIGRATIONS = (
    _FIRST,
    # Rooms whose members are all in state; and what rooms tell is read anew from their state.
    f"""
    {_MEMBERS}
    INSERT INTO meta SELECT 'is_outdated', x'31' FROM (SELECT 1) WHERE EXISTS (SELECT 1 FROM room);
    """,
    # Encryption; crypto/store.py says what each table holds.
    _crypto_tables(_CRYPTO),
    # What waits to be sent; with an outcome what is over and the host has not heard of yet.
    _send_table("send", "AUTOINCREMENT"),
    # Room keys and Olm sessions that strangers may have sent; and who said why there is no key.
    _crypto_tables(_LIMITED) + "DELETE FROM withheld_key;",
    # Events that are not shown before their sender is trusted.
    _crypto_tables(_HIDDEN),
    # AUTOINCREMENT writes a page of its own for each send; numbers are taken many at a time.
    _send_table("sends")
    + """
    INSERT INTO sends SELECT * FROM send;
    INSERT INTO meta SELECT 'send_numbers', CAST(CAST(seq AS TEXT) AS BLOB) FROM sqlite_sequence;
    DROP TABLE send;
    ALTER TABLE sends RENAME TO send;
    """,
)

# A new store has it at once: SQLite keeps much of the memory that migrations take.
_NEW = (_FIRST, _MEMBERS, _crypto_tables((*_CRYPTO, *_LIMITED, *_HIDDEN)), _send_table("send"))

ROOM_TABLES = ("room", "state", "account_data", "members_loaded")
TABLES = ("meta", "send", *ROOM_TABLES, *_CRYPTO, *_LIMITED, *_HIDDEN)


def prepare(connection: sqlite3.Connection, path: Path | None) -> None:
    """Makes or brings up to date the tables, in one transaction.

    `path` is for errors only. Raises `StoreError` for another program's file and for one of a newer
    libmatrix, and what sqlite3 raises.
    """
    connection.execute("BEGIN EXCLUSIVE")
    version = _check_version(connection, path)
    for script in _MIGRATIONS[version:] if version else _NEW:
        for statement in filter(str.strip, script.split(";")):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
    connection.execute("COMMIT")


def _check_version(connection: sqlite3.Connection, path: Path | None) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if objects and application != _APPLICATION:
        raise StoreError(f"{path} is not a store of libmatrix")
    if version > len(_MIGRATIONS):
        raise StoreError(f"{path} was written by a newer libmatrix")
    return int(version)
