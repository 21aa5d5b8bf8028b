"""Room keys out of the backup: all, those of a room, or the one that an event needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.api import make_path
from libmatrix.crypto.backup_keys import BackupKey, SealedSession
from libmatrix.crypto.taking import Report, Taken, take_keys
from libmatrix.errors import (
    BROKEN_JSON,
    HomeserverError,
    MatrixError,
    MissingSecretError,
    NoBackupError,
)

if TYPE_CHECKING:
    from libmatrix.crypto.backup import BackupInfo
    from libmatrix.crypto.machine import Crypto

# Keys between two reports of progress: fewer than of a file, for each is decrypted.
_TURN = 20
# Who has a key may be about to upload it: when to ask again, and for how many at once.
_AGAIN_SECONDS = (5.0, 30.0, 120.0, 600.0)
_MOST_ASKED = 10_000


class _Session(msgspec.Struct):
    session_data: Raw


class _Room(msgspec.Struct):
    sessions: dict[str, Raw]


class _Rooms(msgspec.Struct):
    rooms: dict[str, _Room]


class BackupRestore:
    """Reads the account's backup."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        # The sessions that events wait for, and how often each was asked for in vain.
        self._tries: dict[tuple[str, str], int] = {}
        self._wanted: list[tuple[str, str]] = []
        self._is_fetching = False
        crypto.on_missing_key.append(self._missing)

    async def all(
        self,
        info: BackupInfo,
        key: BackupKey,
        room_id: str | None,
        report: Report,
    ) -> Taken:
        """Takes everything, or what is of a room."""
        rooms = await self._fetch_all(info.version, room_id)
        places = [(room, session) for room, sessions in rooms.items() for session in sessions]

        def take(place: tuple[str, str]) -> bool:
            room, session_id = place
            return self._take(key, room, session_id, rooms[room][session_id])

        return await take_keys(self._crypto, places, take, report, _TURN)

    async def one(self, room_id: str, session_id: str) -> bool:
        """Takes one key from the backup in use; whether it brought anything new.

        Raises `NoBackupError`, `MissingSecretError` and `HomeserverError`.
        """
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
        place = (room_id, session_id)
        if place not in self._tries and len(self._tries) < _MOST_ASKED and self._can_read:
            self._tries[place] = 0
            self._want(place)

    @property
    def _can_read(self) -> bool:
        return self._crypto.backup.key is not None

    def _want(self, place: tuple[str, str]) -> None:
        if self._crypto.is_closed or place not in self._tries:
            return
        self._wanted.append(place)
        if not self._is_fetching:
            self._is_fetching = True
            self._crypto.spawn(self._fetch_wanted())

    async def _fetch_wanted(self) -> None:
        try:
            while self._wanted:
                place = self._wanted.pop()
                if not self._can_read or self._crypto.room_keys.has(*place):
                    del self._tries[place]
                    continue
                try:
                    await self.one(*place)
                    del self._tries[place]
                except MatrixError as error:
                    self._put_off(place, error)
        finally:
            self._is_fetching = False

    def _put_off(self, place: tuple[str, str], error: MatrixError) -> None:
        """Most often the key is not there, yet."""
        if error.code != "M_NOT_FOUND":
            text = f"a key could not be fetched from the backup: {error.message}"
            self._crypto.client.log.record("warning", "encryption", text, error.code)
        tries = self._tries[place] = self._tries[place] + 1
        if tries > len(_AGAIN_SECONDS):
            del self._tries[place]
            return
        pause = max(_AGAIN_SECONDS[tries - 1], (error.retry_after_ms or 0) / 1000)
        self._crypto.client.host.loop.call_later(pause, self._want, place)

    # -- inside -------------------------------------------------------------------------------

    async def _fetch_all(self, version: str, room_id: str | None) -> dict[str, dict[str, Raw]]:
        query, api = [("version", version)], self._crypto.client.api
        parts = ("room_keys", "keys") if room_id is None else ("room_keys", "keys", room_id)
        try:
            answer = await api.call("GET", make_path(*parts), query=query)
        except HomeserverError as error:
            if room_id is not None and error.code == "M_NOT_FOUND":
                return {}
            raise
        try:
            if room_id is not None:
                return {room_id: msgspec.json.decode(answer, type=_Room).sessions}
            rooms = msgspec.json.decode(answer, type=_Rooms).rooms
        except BROKEN_JSON as error:
            raise MatrixError(f"the key backup: {error}", code="E_INVALID_RESPONSE") from None
        return {room: found.sessions for room, found in rooms.items()}

    def _take(self, key: BackupKey, room_id: str, session_id: str, data: Raw) -> bool:
        """Raises ValueError for what is no key, whatever it is."""
        try:
            raw = msgspec.json.decode(data, type=_Session).session_data
            sealed = msgspec.json.decode(raw, type=SealedSession)
            session = msgspec.json.decode(key.decrypt(sealed), type=dict[str, Any])
        except BROKEN_JSON as error:
            raise ValueError(str(error)) from None
        exported = {**session, "room_id": room_id, "session_id": session_id}
        return self._crypto.room_keys.take_exported(exported, "backup")
