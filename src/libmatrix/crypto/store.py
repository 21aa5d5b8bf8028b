"""What encryption keeps, in the client's one SQLite file.

Every table is alike: two text keys and a value. A change is kept in memory first and takes effect
for every reader at once; it is written with the next sync's token, or by `flush`, which comes
before each request to the homeserver that depends on it. One transaction writes all that is
waiting, so an Olm session is never on disk without the room key that it brought.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from libmatrix.crypto.key_location import load_key
from libmatrix.crypto.pycryptodome import prepare
from libmatrix.errors import StoreError

if TYPE_CHECKING:
    from libmatrix.store.file import Store, Writer
    from libmatrix.store.seal import Vault
    from libmatrix.store.state import State

_NONCE, _TAG = 12, 16

Key = tuple[str, str]


class Table:
    """Values by two keys, what is not written yet included."""

    def __init__(self, owner: CryptoStore, name: str, *, is_sealed: bool = False) -> None:
        """`is_sealed`: values are encrypted on their way to the file."""
        self.name = name
        self._owner = owner
        self._is_sealed = is_sealed
        self._waiting: dict[str, dict[str, bytes | None]] = {}

    def get(self, first: str, second: str = "") -> bytes | None:
        """A value, None when there is none. Raises `StoreError`, as every method that reads."""
        waiting = self._waiting.get(first)
        if waiting is not None and second in waiting:
            return waiting[second]
        value = self._owner.disk.crypto_value(self.name, first, second)
        return self._open(value) if value is not None else None

    def put(self, first: str, second: str, value: bytes) -> None:
        """Sets a value."""
        self._waiting.setdefault(first, {})[second] = value

    def delete(self, first: str, second: str = "") -> None:
        """Removes a value, if there is one."""
        self._waiting.setdefault(first, {})[second] = None

    def of(self, first: str) -> dict[str, bytes]:
        """All values with a first key, by their second."""
        rows = self._owner.disk.crypto_values(self.name, first)
        found = {second: self._open(value) for second, value in rows}
        for second, value in self._waiting.get(first, {}).items():
            if value is None:
                found.pop(second, None)
            else:
                found[second] = value
        return found

    def all(self) -> dict[Key, bytes]:
        """Everything."""
        rows = self._owner.disk.crypto_rows(self.name)
        found = {(first, second): self._open(value) for first, second, value in rows}
        for first, second, value in self._changes():
            if value is None:
                found.pop((first, second), None)
            else:
                found[first, second] = value
        return found

    def places(self) -> set[Key]:
        """The keys of everything, without reading the values."""
        found = set(self._owner.disk.crypto_keys(self.name))
        for first, second, value in self._changes():
            if value is None:
                found.discard((first, second))
            else:
                found.add((first, second))
        return found

    def count(self) -> int:
        """How many values there are."""
        return len(self.places()) if self._waiting else self._owner.disk.crypto_count(self.name)

    def delete_all(self, first: str) -> None:
        """Removes all values with a first key."""
        for second in self.of(first):
            self.delete(first, second)

    @property
    def is_waiting(self) -> bool:
        """Whether something is not written yet."""
        return bool(self._waiting)

    def write(self, writer: Writer) -> None:
        """Writes what is waiting; `written` says that it is lasting."""
        if not self._waiting:
            return
        rows, gone = [], []
        for first, second, value in self._changes():
            if value is None:
                gone.append((first, second))
            else:
                sealed = self._owner.seal(value) if self._is_sealed else value
                rows.append((first, second, sealed))
        writer.crypto(self.name, rows, gone)

    def written(self) -> None:
        """What waited is in the file now."""
        self._waiting = {}

    def _changes(self) -> Iterator[tuple[str, str, bytes | None]]:
        for first, values in self._waiting.items():
            for second, value in values.items():
                yield first, second, value

    def _open(self, value: bytes) -> bytes:
        return self._owner.unseal(value) if self._is_sealed else value


class CryptoStore:
    """The tables of encryption, and the key that seals their secrets.

    The key is random. It is in a file of its own beside the store, mode 0600, or sealed in the
    store when that has a passphrase.
    """

    def __init__(self, state: State, folder: str | None, vault: Vault) -> None:
        self.disk: Store = state.disk
        self._state = state
        self.key = load_key(self.disk, folder, vault)
        self._tables: list[Table] = []
        # Names, as of the account, and what they stand for.
        self.values = self._table("crypto_value")
        # Olm sessions, by the other device's Curve25519 key with its user, and session id.
        self.olm_sessions = self._table("olm_session")
        # Those of them that came from devices which nobody knew: the same, and since when.
        self.stranger_sessions = self._table("stranger_session")
        # Olm messages of a sync that is not committed: hash, and what they said.
        self.received = self._table("olm_received", is_sealed=True)
        # Inbound Megolm sessions by room and session id; those that the backup does not have.
        self.room_keys = self._table("room_key")
        self.unsaved_keys = self._table("unsaved_room_key")
        # Those that others sent and that nothing was decrypted with: sender, place.
        self.unused_keys = self._table("unused_room_key")
        # Which event used a message index: session id, index.
        self.indices = self._table("message_index")
        # Outbound Megolm sessions by room; and who got them: session id, device.
        self.outbound = self._table("outbound_session")
        self.shares = self._table("session_share")
        # Why a key was not given to us: place of the session, who says so.
        self.withheld = self._table("withheld_key")
        # Events that wait for their key: room and session id, event id.
        self.undecrypted = self._table("undecrypted_event")
        # Events that the host is not shown: the same, and since when and by whom before them.
        self.hidden = self._table("hidden_event")
        # Users whose devices are followed; their devices; their cross-signing keys.
        self.users = self._table("tracked_user")
        self.devices = self._table("device")
        self.identities = self._table("identity")
        # Room keys asked for, by room and session id. Private cross-signing keys and such, by name.
        self.key_requests = self._table("key_request")
        self.secrets = self._table("secret", is_sealed=True)
        # Rooms that are encrypted, and how: never forgotten.
        self.rooms = self._table("encrypted_room")
        state.riders.append(self)

    def _table(self, name: str, *, is_sealed: bool = False) -> Table:
        table = Table(self, name, is_sealed=is_sealed)
        self._tables.append(table)
        return table

    def flush(self) -> None:
        """Writes all that is waiting, now. Raises `StoreError`; then nothing was written."""
        if self.is_waiting:
            with self.disk.transaction() as writer:
                self.write(writer)
            self.written()

    @property
    def is_waiting(self) -> bool:
        """Whether something is not written yet."""
        return any(table.is_waiting for table in self._tables)

    def write(self, writer: Writer) -> None:
        """Writes all that is waiting as a part of a transaction."""
        for table in self._tables:
            table.write(writer)

    def written(self) -> None:
        """The transaction has succeeded."""
        for table in self._tables:
            table.written()

    def close(self) -> None:
        """Has no part in transactions any more."""
        if self in self._state.riders:
            self._state.riders.remove(self)

    def seal(self, data: bytes) -> bytes:
        """Encrypts a value: nonce, tag and ciphertext of AES-256-GCM."""
        prepare()
        from Crypto.Cipher import AES

        nonce = os.urandom(_NONCE)
        cipher = AES.new(self.key, AES.MODE_GCM, nonce=nonce, mac_len=_TAG)
        sealed, tag = cipher.encrypt_and_digest(data)
        return nonce + tag + sealed

    def unseal(self, data: bytes) -> bytes:
        """The reverse. Raises `StoreError` for what this store did not seal."""
        prepare()
        from Crypto.Cipher import AES

        start = _NONCE + _TAG
        try:
            cipher = AES.new(self.key, AES.MODE_GCM, nonce=data[:_NONCE], mac_len=_TAG)
            return cipher.decrypt_and_verify(data[start:], data[_NONCE:start])
        except ValueError:
            raise StoreError("the store's secrets were sealed with another key") from None
