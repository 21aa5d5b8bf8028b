"""Room keys out of the backup: all, those of a room, or the one that an event needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Raw

from libmatrix.api import make_path
from libmatrix.crypto.backup_keys import BackupKey, SealedSession
from libmatrix.errors import HomeserverError, MatrixError, MissingSecretError, NoBackupError

if TYPE_CHECKING:
    from libmatrix.crypto.backup import BackupInfo
    from libmatrix.crypto.machine import Crypto

# Keys between two reports of progress; others have their turn then.
_TURN = 20
# Keys between two writes.
_WRITE = 500
# A key that was not there is not asked for again at once.
_AGAIN_SECONDS = 300.0
_MOST_ASKED = 10_000


class _Session(msgspec.Struct):
    session_data: Raw


class _Room(msgspec.Struct):
    sessions: dict[str, Raw]


class _Rooms(msgspec.Struct):
    rooms: dict[str, _Room]


class Restored(NamedTuple):
    """What came of it."""

    total: int
    imported: int
    failed: int


class BackupRestore:
    """Reads the account's backup."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        # When each session was asked for last, by the loop's clock.
        self._asked: dict[tuple[str, str], float] = {}
        self._wanted: list[tuple[str, str]] = []
        self._is_fetching = False
        crypto.on_missing_key.append(self._missing)

    async def all(
        self,
        info: BackupInfo,
        key: BackupKey,
        room_id: str | None,
        report: Callable[[int, int], None],
    ) -> Restored:
        """Takes everything, or what is of a room; `report`: looked at, in total."""
        rooms = await self._fetch_all(info.version, room_id)
        places = [(room, session) for room, sessions in rooms.items() for session in sessions]
        imported = failed = 0
        report(0, len(places))
        for number, (room, session_id) in enumerate(places, 1):
            try:
                imported += self._take(key, room, session_id, rooms[room][session_id])
            except ValueError:
                failed += 1
            if not number % _TURN:
                report(number, len(places))
                await asyncio.sleep(0)
            if not number % _WRITE:
                self._crypto.store.flush()
        self._crypto.store.flush()
        report(len(places), len(places))
        return Restored(len(places), imported, failed)

    async def one(self, room_id: str, session_id: str) -> bool:
        """Takes one key from the backup in use; whether it brought anything new."""
        backup = self._crypto.backup
        if backup.in_use is None:
            raise NoBackupError
        key = backup.key
        if key is None:
            raise MissingSecretError("the key of the backup")
        query = [("version", backup.in_use.version)]
        path = make_path("room_keys", "keys", room_id, session_id)
        answer = await self._crypto.client.api.call("GET", path, query=query)
        try:
            is_new = self._take(key, room_id, session_id, Raw(answer))
        except ValueError:
            raise HomeserverError("the key in the backup is broken", code="M_NOT_FOUND") from None
        self._crypto.store.flush()
        return is_new

    # -- on demand ----------------------------------------------------------------------------

    def _missing(self, room_id: str, session_id: str) -> None:
        """An event could not be decrypted for want of a key."""
        backup, now = self._crypto.backup, self._crypto.client.host.loop.time()
        place = (room_id, session_id)
        if backup.in_use is None or backup.key is None:
            return
        if now - self._asked.get(place, -_AGAIN_SECONDS) < _AGAIN_SECONDS:
            return
        if len(self._asked) >= _MOST_ASKED:
            self._asked.clear()
        self._asked[place] = now
        self._wanted.append(place)
        if not self._is_fetching:
            self._is_fetching = True
            self._crypto.spawn(self._fetch_wanted())

    async def _fetch_wanted(self) -> None:
        try:
            while self._wanted:
                place = self._wanted.pop()
                try:
                    await self.one(*place)
                except HomeserverError as error:
                    # Most often it is not there.
                    if error.http_status != 404 and error.code != "M_NOT_FOUND":
                        del self._asked[place]
                        raise
        finally:
            self._is_fetching = False
            self._wanted.clear()

    # -- inside -------------------------------------------------------------------------------

    async def _fetch_all(self, version: str, room_id: str | None) -> dict[str, dict[str, Raw]]:
        query, api = [("version", version)], self._crypto.client.api
        parts = ("room_keys", "keys") if room_id is None else ("room_keys", "keys", room_id)
        answer = await api.call("GET", make_path(*parts), query=query)
        try:
            if room_id is not None:
                return {room_id: msgspec.json.decode(answer, type=_Room).sessions}
            rooms = msgspec.json.decode(answer, type=_Rooms).rooms
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise MatrixError(f"the key backup: {error}", code="E_INVALID_RESPONSE") from None
        return {room: found.sessions for room, found in rooms.items()}

    def _take(self, key: BackupKey, room_id: str, session_id: str, data: Raw) -> bool:
        """Raises ValueError for what is no key, whatever it is."""
        try:
            raw = msgspec.json.decode(data, type=_Session).session_data
            sealed = msgspec.json.decode(raw, type=SealedSession)
            session = msgspec.json.decode(key.decrypt(sealed), type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(str(error)) from None
        exported = {**session, "room_id": room_id, "session_id": session_id}
        return self._crypto.room_keys.take_exported(exported, "backup")
