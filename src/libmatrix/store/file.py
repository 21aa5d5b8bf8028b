"""One SQLite file for each client: session, sync token, rooms, state, account data.

The folder is locked for as long as the store is open, so that a second client on it, in this or
another process, is refused. The file itself is closed while the store rests: whoever needs the
connection gets it from `reading` or `transaction`, and never keeps it. A corrupt file is set aside
and reported.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from libmatrix import descriptors
from libmatrix.errors import StoreError, StoreLockedError
from libmatrix.store.files import StoreFiles
from libmatrix.store.lock import StoreLock
from libmatrix.store.place import make_private, set_aside
from libmatrix.store.schema import ROOM_TABLES, TABLES, prepare

_FILE = "libmatrix.sqlite3"
_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Store:
    """A client's file, or its like in memory. All methods raise `StoreError` only."""

    def __init__(self, folder: str | None, files: StoreFiles | None = None) -> None:
        """Without `files` the file stays open as long as the store."""
        self._path = None if folder is None else Path(folder) / _FILE
        self._files = files if folder is not None else None
        self._lock: StoreLock | None = None
        self._connection: sqlite3.Connection | None = None
        self._is_closed = True
        self.was_used = True
        # How often the tables of encryption may have changed, for who remembers what is not there.
        self.crypto_changes = 0
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    # -- reading ------------------------------------------------------------------------------

    def meta(self, key: str) -> bytes | None:
        """A single value."""
        return self._value("SELECT value FROM meta WHERE key = ?", key)

    def rooms(self) -> Iterator[bytes]:
        """Every room."""
        with self.reading() as connection:
            for (data,) in connection.execute("SELECT data FROM room"):
                yield data

    def state(self, room_id: str, kind: str, state_key: str) -> bytes | None:
        """A state event."""
        query = "SELECT event FROM state WHERE room_id = ? AND type = ? AND state_key = ?"
        return self._value(query, room_id, kind, state_key)

    def states(self, room_id: str, kind: str) -> list[tuple[str, bytes]]:
        """All state events of a type, with their keys."""
        query = "SELECT state_key, event FROM state WHERE room_id = ? AND type = ?"
        with self.reading() as connection:
            return connection.execute(query, (room_id, kind)).fetchall()

    def all_states(self, room_id: str) -> list[tuple[str, str, bytes]]:
        """All state events of a room, with their types and keys."""
        query = "SELECT type, state_key, event FROM state WHERE room_id = ?"
        with self.reading() as connection:
            return connection.execute(query, (room_id,)).fetchall()

    def rooms_with_all_members(self) -> set[str]:
        """The rooms whose members were loaded."""
        with self.reading() as connection:
            return {row[0] for row in connection.execute("SELECT room_id FROM members_loaded")}

    def account_data(self, room_id: str, kind: str) -> bytes | None:
        """Account data; of no room: global."""
        query = "SELECT content FROM account_data WHERE room_id = ? AND type = ?"
        return self._value(query, room_id, kind)

    def account_data_types(self) -> list[str]:
        """The types of global account data."""
        query = "SELECT type FROM account_data WHERE room_id = ''"
        with self.reading() as connection:
            return [row[0] for row in connection.execute(query)]

    # -- encryption: tables with two keys, see crypto/store.py --------------------------------

    def crypto_value(self, table: str, first: str, second: str) -> bytes | None:
        """One value."""
        query = f"SELECT value FROM {table} WHERE first = ? AND second = ?"
        return self._value(query, first, second)

    def crypto_values(self, table: str, first: str) -> list[tuple[str, bytes]]:
        """All values with a first key, with their second."""
        query = f"SELECT second, value FROM {table} WHERE first = ?"
        with self.reading() as connection:
            return connection.execute(query, (first,)).fetchall()

    def crypto_rows(self, table: str) -> list[tuple[str, str, bytes]]:
        """A whole table."""
        with self.reading() as connection:
            return connection.execute(f"SELECT first, second, value FROM {table}").fetchall()

    def crypto_keys(self, table: str) -> list[tuple[str, str]]:
        """All keys of a table."""
        with self.reading() as connection:
            return connection.execute(f"SELECT first, second FROM {table}").fetchall()

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """What a query of a table's own module finds."""
        with self.reading() as connection:
            return connection.execute(query, arguments).fetchall()

    def crypto_count(self, table: str) -> int:
        """How many rows a table has."""
        with self.reading() as connection:
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(count)

    # -- writing ------------------------------------------------------------------------------

    def put_meta(self, key: str, value: bytes) -> None:
        """Sets a single value at once."""
        with self.transaction() as writer:
            writer.meta(key, value)

    def write(self, statement: str, row: tuple[Any, ...]) -> None:
        """Runs one statement of a table's own module, which is a transaction of its own."""
        with self._using("written") as connection:
            connection.execute(statement, row)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, to be given back before anybody else has a turn."""
        with self._using("read") as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Writer]:
        """All that is written inside is there afterwards, or nothing of it."""
        with self._using("written") as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Writer(connection, self)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self.crypto_changes += 1
                raise

    def clear(self) -> None:
        """Forgets everything, also in the file's free pages and its log."""
        with self._using("written") as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in TABLES:
                connection.execute(f"DELETE FROM {table}")
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def rest(self) -> bool:
        """Closes the file until somebody needs it; False in the middle of a transaction."""
        connection = self._connection
        if connection is not None and connection.in_transaction:
            return False
        self._connection = None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
        return True

    def close(self) -> None:
        """Closes the file and lets others have it; what was not committed is forgotten."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if self._files is not None:
            self._files.closed(self)
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        self._is_closed = True

    # -- inside -------------------------------------------------------------------------------

    def _make(self) -> None:
        """Locks the folder, makes what is missing, and brings the schema up to date."""
        try:
            if self._path is not None:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._lock = StoreLock(self._path.parent)
                make_private(self._path)
        except (OSError, ValueError) as error:
            raise self._cannot_open(error) from None
        self._is_closed = False
        with self._using("opened") as connection:
            prepare(connection, self._path)

    def _open(self) -> sqlite3.Connection:
        """Opens the file; never makes one, for that would be an empty store."""
        path = self._path
        target = ":memory:" if path is None else f"file:{quote(bytes(path.absolute()))}?mode=rw"
        try:
            connection = sqlite3.connect(
                target, timeout=0, isolation_level=None, check_same_thread=False, uri=True
            )
        except (OSError, ValueError, sqlite3.Error) as error:
            raise self._cannot_open(error) from None
        for pragma in (
            # Before the first access in WAL mode, so that there is no shared-memory file.
            "locking_mode = EXCLUSIVE",
            "journal_mode = WAL",
            "synchronous = NORMAL",
            "secure_delete = ON",
            "trusted_schema = OFF",
            "temp_store = MEMORY",
            # Pages of the log, 16 MiB: so that not even a large first sync waits for the disk.
            "wal_autocheckpoint = 4000",
        ):
            try:
                connection.execute(f"PRAGMA {pragma}").fetchall()
            except sqlite3.Error as error:
                connection.close()
                raise self._map(error, "opened") from None
        return connection

    def _value(self, query: str, *arguments: str) -> bytes | None:
        with self.reading() as connection:
            row = connection.execute(query, arguments).fetchone()
        return row[0] if row else None

    @contextmanager
    def _using(self, done: str) -> Iterator[sqlite3.Connection]:
        if self._is_closed:
            raise StoreError("the store is closed")
        self.was_used = True
        connection = self._connection
        if connection is None:
            connection = self._connection = self._open()
            if self._files is not None:
                self._files.opened(self)
        try:
            yield connection
        except sqlite3.Error as error:
            raise self._map(error, done) from None

    def _cannot_open(self, error: Exception) -> StoreError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        code = "E_TOO_MANY_FILES" if descriptors.have_run_out(error) else None
        return StoreError(f"the store {self._path} cannot be opened: {reason}", code=code)

    def _map(self, error: sqlite3.Error, done: str) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _LOCKED:
            return StoreLockedError(f"the store {self._path} is open in another client")
        if code in _CORRUPT and self._path is not None:
            self.close()
            return StoreError(f"the store {self._path} is corrupt; {set_aside(self._path)}")
        if code == sqlite3.SQLITE_CANTOPEN:
            return self._cannot_open(error)
        return StoreError(f"the store {self._path} could not be {done}: {error}")


class Writer:
    """What a transaction can write."""

    def __init__(self, connection: sqlite3.Connection, store: Store) -> None:
        self._connection = connection
        self._store = store

    def meta(self, key: str, value: bytes | None) -> None:
        """Sets or removes a single value."""
        if value is None:
            self._connection.execute("DELETE FROM meta WHERE key = ?", (key,))
        else:
            self.many("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, value)])

    def rooms(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Sets rooms."""
        self.many("INSERT OR REPLACE INTO room VALUES (?, ?)", rows)

    def states(self, rows: Iterable[tuple[str, str, str, Any]]) -> None:
        """Sets state events."""
        self.many("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)", rows)

    def account_data(self, rows: Iterable[tuple[str, str, Any]]) -> None:
        """Sets account data."""
        self.many("INSERT OR REPLACE INTO account_data VALUES (?, ?, ?)", rows)

    def forget_state(self, room_ids: Iterable[str]) -> None:
        """Removes the state events of rooms."""
        self.many("DELETE FROM state WHERE room_id = ?", [(room_id,) for room_id in room_ids])

    def forget_members(self, room_ids: Iterable[str]) -> None:
        """Says that members of rooms may be missing."""
        rows = [(room_id,) for room_id in room_ids]
        self.many("DELETE FROM members_loaded WHERE room_id = ?", rows)

    def members_loaded(self, room_id: str) -> None:
        """Says that all members of a room are there."""
        self.many("INSERT OR REPLACE INTO members_loaded VALUES (?)", [(room_id,)])

    def forget_type(self, room_id: str, kind: str) -> None:
        """Removes a room's state events of a type."""
        self.many("DELETE FROM state WHERE room_id = ? AND type = ?", [(room_id, kind)])

    def forget_room(self, room_id: str) -> None:
        """Removes a room and all of it."""
        for table in ROOM_TABLES:
            self.many(f"DELETE FROM {table} WHERE room_id = ?", [(room_id,)])

    def crypto(
        self, table: str, rows: Iterable[tuple[str, str, bytes]], gone: Iterable[tuple[str, str]]
    ) -> None:
        """Sets and removes values of a table of encryption."""
        self._store.crypto_changes += 1
        self.many(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", rows)
        self.many(f"DELETE FROM {table} WHERE first = ? AND second = ?", gone)

    def many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Runs a statement of a table's own module for each of the rows."""
        self._connection.executemany(statement, rows)
