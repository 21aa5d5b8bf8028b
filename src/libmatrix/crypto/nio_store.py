"""What a store of matrix-nio holds, taken over: account, Olm sessions, room keys.

The file is only read. Its schema is version 2 of matrix-nio, its pickles are vodozemac's or, from
before 0.26, libolm's.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote

from vodozemac import Account as OlmAccount
from vodozemac import InboundGroupSession, PickleException, Session

from libmatrix.crypto.account import MEGOLM
from libmatrix.crypto.records import OlmSession, encode
from libmatrix.errors import ArgumentError

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

T = TypeVar("T")
_KEYS = """
    SELECT megolminboundsessions.session, room_id, sender_key, fp_key,
        (SELECT group_concat(sender_key, ' ') FROM forwardedchains
            WHERE forwardedchains.session_id = megolminboundsessions.session_id)
    FROM megolminboundsessions WHERE account_id = ?
"""
_SESSIONS = """
    SELECT olmsessions.session, sender_key,
        (SELECT user_id FROM keys JOIN devicekeys ON keys.device_id = devicekeys.id
            WHERE keys.key = sender_key AND key_type = 'curve25519' LIMIT 1)
    FROM olmsessions WHERE account_id = ? ORDER BY last_usage_date
"""


class Found(NamedTuple):
    """What was taken."""

    has_account: bool = False
    olm_session_count: int = 0
    room_key_count: int = 0
    failed_count: int = 0


def import_store(crypto: Crypto, path: str, passphrase: str) -> Found:
    """Takes what is in the file and not here yet.

    The account and its Olm sessions count only for the same user and device, and while this
    client's own keys are not at the homeserver. Raises `ArgumentError` for what is no such store,
    or another passphrase's.
    """
    if not Path(path).is_file():
        raise ArgumentError(f"path: there is no file {path}")
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as database:
            return _Import(crypto, database, passphrase).run()
    except sqlite3.Error as error:
        raise ArgumentError(f"path: not a store of matrix-nio: {error}") from None


class _Import:
    def __init__(self, crypto: Crypto, database: sqlite3.Connection, passphrase: str) -> None:
        self._crypto = crypto
        self._database = database
        self._key = hashlib.sha256(passphrase.encode()).digest()
        self._old_key = passphrase.encode()
        self._failed_count = 0

    def run(self) -> Found:
        """Everything in one transaction of ours."""
        query = "SELECT id, account, user_id, device_id, shared FROM accounts"
        has_account, olm_count, key_count = False, 0, 0
        for row_id, pickle, user_id, device_id, shared in self._rows(query):
            olm = self._open(OlmAccount, pickle)
            if olm is None:
                raise ArgumentError("passphrase: not the one of this store")
            owner = (self._crypto.user_id, self._crypto.device_id)
            if (user_id, device_id) == owner and self._crypto.account.adopt(olm, bool(shared)):
                has_account = True
                olm_count += self._take_sessions(row_id)
            key_count += self._take_keys(row_id)
        self._crypto.store.flush()
        return Found(has_account, olm_count, key_count, self._failed_count)

    def _take_sessions(self, account: int) -> int:
        count = 0
        for number, (pickle, sender_key, user_id) in enumerate(self._rows(_SESSIONS, account)):
            session = self._open(Session, pickle)
            if session is None or not user_id:
                self._failed_count += 1
                continue
            kept = OlmSession(pickle=session.pickle(self._crypto.store.key), used_ms=number + 1)
            place = f"{sender_key}|{user_id}"
            self._crypto.store.olm_sessions.put(place, session.session_id, encode(kept))
            count += 1
        self._crypto.olm.forget_cached()
        return count

    def _take_keys(self, account: int) -> int:
        count = 0
        for pickle, room_id, sender_key, ed25519, chain in self._rows(_KEYS, account):
            session = self._open(InboundGroupSession, pickle)
            exported = session.export_at(session.first_known_index) if session else None
            if session is None or exported is None:
                self._failed_count += 1
                continue
            fields = {
                "algorithm": MEGOLM,
                "room_id": room_id,
                "session_id": session.session_id,
                "session_key": exported.to_base64(),
                "sender_key": sender_key,
                "sender_claimed_keys": {"ed25519": ed25519},
                "forwarding_curve25519_key_chain": chain.split() if chain else [],
            }
            count += self._crypto.room_keys.take_exported(fields, "import")
        return count

    def _rows(self, query: str, *arguments: Any) -> Iterator[tuple[Any, ...]]:
        yield from self._database.execute(query, arguments).fetchall()

    def _open(self, kind: Callable[..., T], pickle: Any) -> T | None:
        """A pickle of today's, else of libolm's time."""
        text = pickle.decode() if isinstance(pickle, bytes) else str(pickle)
        made: Any = kind
        try:
            found: T = made.from_pickle(text, self._key)
        except PickleException:
            try:
                found = made.from_libolm_pickle(text, self._old_key)
            except ValueError:
                return None
        return found
