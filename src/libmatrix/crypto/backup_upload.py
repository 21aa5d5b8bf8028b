"""Room keys on their way into the backup: in the background, some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from libmatrix.api import make_path
from libmatrix.backoff import Backoff
from libmatrix.crypto.backup_keys import BackupWriter
from libmatrix.errors import MatrixError, NoBackupError

if TYPE_CHECKING:
    from libmatrix.crypto.backup import Backup, InUse
    from libmatrix.crypto.machine import Crypto
    from libmatrix.crypto.records import RoomKey

# In one request.
_MOST_KEYS = 100
# What comes together goes together.
_PAUSE_SECONDS = 0.1
_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS = 1_000, 300_000
# Encrypting takes a while: others have their turn in between.
_TURN = 10
_REPLACED = frozenset({"M_WRONG_ROOM_KEYS_VERSION", "M_NOT_FOUND"})
# Trying again changes nothing.
_FINAL = frozenset({"M_UNKNOWN_TOKEN", "E_NOT_LOGGED_IN", "E_STORE"})


class BackupUpload:
    """Brings the backup in use up to date."""

    def __init__(self, crypto: Crypto, backup: Backup) -> None:
        self._crypto = crypto
        self._backup = backup
        self._is_running = False
        # Nothing has come since everything was there.
        self._is_done = False
        self._settled = asyncio.Event()
        self._failure: MatrixError | None = None
        crypto.room_keys.on_new.append(lambda room_id, session_id: self.wake())

    @property
    def waiting_count(self) -> int:
        """Room keys that are not in the backup."""
        return len(self._crypto.store.unsaved_keys.places())

    def wake(self) -> None:
        """There may be something to upload."""
        self._is_done = False
        if not self._is_running and self._backup.in_use is not None:
            self._is_running = True
            self._crypto.spawn(self._run())

    def resume(self) -> None:
        """Goes on with what was left, at the start and after a failure."""
        if not self._is_done:
            self.wake()

    async def finish(self, report: Callable[[int], None]) -> str:
        """Waits until everything is in the backup; raises `NoBackupError` when it is gone.

        Raises what an attempt failed with; all the same it is tried again in the background.
        """
        self._failure = None
        while self._backup.in_use is not None:
            count = self.waiting_count
            if count == 0:
                return self._backup.in_use.version
            report(count)
            self.wake()
            self._settled.clear()
            await self._settled.wait()
            if self._failure is not None:
                raise self._failure
        raise NoBackupError

    async def _run(self) -> None:
        backoff = Backoff(_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS)
        try:
            await asyncio.sleep(_PAUSE_SECONDS)
            while self._backup.in_use is not None and self.waiting_count:
                try:
                    await self._upload(self._backup.in_use)
                    backoff.succeeded()
                except MatrixError as error:
                    await self._failed(error, backoff)
                self._settled.set()
            self._is_done = True
        finally:
            self._is_running = False
            self._settled.set()

    async def _failed(self, error: MatrixError, backoff: Backoff) -> None:
        """Waits until it may go better; raises when it will not."""
        in_use = self._backup.in_use
        if error.code in _REPLACED and in_use is not None:
            await self._backup.replaced(in_use.version)
            return
        self._failure = error
        self._settled.set()
        if error.code in _FINAL:
            raise error
        text = f"room keys could not be backed up: {error.message}"
        self._crypto.client.log.record("warning", "encryption", text, error.code)
        await asyncio.sleep(backoff.failed(error.retry_after_ms) / 1000)

    async def _upload(self, in_use: InUse) -> None:
        """One request's worth; what was there before counts when the homeserver has it."""
        unsaved = self._crypto.store.unsaved_keys
        places = sorted(unsaved.places())[:_MOST_KEYS]
        rooms: dict[str, dict[str, Any]] = {}
        first_indices: dict[tuple[str, str], int] = {}
        writer = BackupWriter(in_use.public_key)
        for number, (room_id, session_id) in enumerate(places):
            found = self._crypto.room_keys.open(room_id, session_id)
            if found is not None:
                first_indices[room_id, session_id] = found.kept.first_index
                sessions = rooms.setdefault(room_id, {"sessions": {}})["sessions"]
                sessions[session_id] = self._sealed(writer, found.kept)
            if not (number + 1) % _TURN:
                await asyncio.sleep(0)
        if rooms:
            query = [("version", in_use.version)]
            path = make_path("room_keys", "keys")
            api = self._crypto.client.api
            await api.call("PUT", path, query=query, body={"rooms": rooms})
        if self._backup.in_use != in_use:
            return
        for place in places:
            found = self._crypto.room_keys.open(*place)
            # One that reaches further back came meanwhile: it is still to go.
            if found is None or first_indices.get(place) == found.kept.first_index:
                unsaved.delete(*place)
        self._crypto.store.flush()

    def _sealed(self, writer: BackupWriter, kept: RoomKey) -> dict[str, Any]:
        exported = self._crypto.room_keys.export(kept.room_id, kept.session_id)
        session = {key: exported[key] for key in exported if key not in ("room_id", "session_id")}
        return {
            "first_message_index": kept.first_index,
            "forwarded_count": len(kept.forwarding_chain),
            "is_verified": kept.owner is not None,
            "session_data": msgspec.to_builtins(writer.encrypt(session)),
        }
