"""The key backup: which one is used, what goes into it, what comes out of it.

Specification: client-server API, end-to-end encryption, server-side key backups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from libmatrix.api import make_path
from libmatrix.crypto.backup_keys import ALGORITHM, BackupKey
from libmatrix.crypto.backup_restore import BackupRestore
from libmatrix.crypto.backup_upload import BackupUpload
from libmatrix.crypto.records import Identity
from libmatrix.crypto.secrets import BACKUP
from libmatrix.crypto.signatures import encode_base64, sign, verify_signature
from libmatrix.crypto.trust import announce
from libmatrix.errors import (
    BackupTrustError,
    HomeserverError,
    IdentityMismatchError,
    NoBackupError,
)
from libmatrix.table_gen import BackupChange, BackupPhase

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

_NAME = "backup"


class BackupInfo(msgspec.Struct):
    """A version of the backup, as the homeserver has it."""

    algorithm: str
    auth_data: dict[str, Any]
    version: str
    count: int = 0

    @property
    def public_key(self) -> str | None:
        """The key that everything in it is encrypted for."""
        key = self.auth_data.get("public_key")
        return key if isinstance(key, str) and self.algorithm == ALGORITHM else None


class InUse(msgspec.Struct):
    """The backup that is used."""

    version: str
    public_key: str


class _Created(msgspec.Struct):
    version: str


class Backup:
    """The account's key backup."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        kept = crypto.store.values.get(_NAME)
        self.in_use = msgspec.json.decode(kept, type=InUse) if kept is not None else None
        self.upload = BackupUpload(crypto, self)
        self.restore = BackupRestore(crypto)

    # -- which --------------------------------------------------------------------------------

    async def find(self, version: str | None = None) -> BackupInfo | None:
        """A version of the backup, or the newest; None when there is none."""
        parts = ("room_keys", "version") if version is None else ("room_keys", "version", version)
        try:
            return await self._crypto.client.api.get(BackupInfo, make_path(*parts))
        except HomeserverError as error:
            if error.http_status == 404:
                return None
            raise

    async def require(self) -> BackupInfo:
        """The newest version; raises `NoBackupError` when there is none."""
        found = await self.find()
        if found is None:
            raise NoBackupError
        return found

    def is_trusted(self, info: BackupInfo) -> bool:
        """Whether room keys may go there: its key is here, or one whom we trust has signed it."""
        if info.public_key is None:
            return False
        if self.key_of(info.public_key) is not None:
            return True
        crypto, own = self._crypto, self._crypto.trust.own
        if own is not None and own.is_verified and _has_signed(own, info.auth_data):
            return True
        return any(
            verify_signature(info.auth_data, device.user_id, f"ed25519:{name}", device.ed25519)
            for name, device in crypto.devices.of(crypto.user_id).items()
            if crypto.trust.of_device(device) == "verified"
        )

    def enable(self, info: BackupInfo) -> None:
        """Uses a backup from now on; all that is here goes into it. Raises `BackupTrustError`."""
        if not self.is_trusted(info):
            raise BackupTrustError
        assert info.public_key is not None
        if self.in_use is None or self.in_use.version != info.version:
            self.in_use = InUse(info.version, info.public_key)
            store = self._crypto.store
            store.values.put(_NAME, "", msgspec.json.encode(self.in_use))
            for place in self._crypto.room_keys.places():
                store.unsaved_keys.put(*place, b"")
            store.flush()
            self._announce("enabled")
        self.upload.wake()

    def disable(self, reason: BackupPhase = "disabled") -> None:
        """Uses none from now on."""
        if self.in_use is not None:
            self._announce(reason)
            self.in_use = None
            self._crypto.store.values.delete(_NAME)
            self._crypto.store.flush()

    async def replaced(self, version: str) -> None:
        """The homeserver takes nothing for this version: uses its newest, if that is trusted."""
        info = await self.find()
        if self.in_use is None or self.in_use.version != version:
            return
        if info is None or info.version == version:
            self.disable("deleted")
        elif not self.is_trusted(info):
            self.disable("untrusted")
        else:
            self.enable(info)

    # -- its key ------------------------------------------------------------------------------

    @property
    def key(self) -> BackupKey | None:
        """The private key of the backup in use, if it is here."""
        return self.key_of(self.in_use.public_key) if self.in_use is not None else None

    def key_of(self, public_key: str) -> BackupKey | None:
        """The private key for a public one, if it is here."""
        kept = self._crypto.store.secrets.get(BACKUP, public_key)
        return BackupKey(kept) if kept is not None else None

    def secret(self) -> str | None:
        """The private key as secret storage has it."""
        key = self.key
        return encode_base64(key.key) if key is not None else None

    def keep_key(self, key: BackupKey) -> None:
        """Keeps a private key."""
        self._crypto.store.secrets.put(BACKUP, key.public_key, key.key)
        self._crypto.store.flush()

    async def adopt(self, secret: str) -> BackupInfo | None:
        """Takes the newest backup's key from secret storage or another device, and uses it.

        Raises `IdentityMismatchError`.
        """
        try:
            key = BackupKey.from_base64(secret)
        except ValueError:
            raise IdentityMismatchError(f"{BACKUP} is not a key") from None
        info = await self.find()
        if info is None:
            return None
        if info.public_key != key.public_key:
            raise IdentityMismatchError(f"{BACKUP} is not the key of the newest backup")
        self.keep_key(key)
        self.enable(info)
        return info

    # -- making and deleting ------------------------------------------------------------------

    async def create(self) -> str:
        """A new version; it is used from now on."""
        crypto, key = self._crypto, BackupKey.create()
        auth_data = crypto.account.sign({"public_key": key.public_key})
        master = crypto.cross_signing.key("master")
        if master is not None:
            auth_data = sign(master, auth_data, crypto.user_id, f"ed25519:{master.public_key}")
        # Before the homeserver hears of it: a backup without its key is worth nothing.
        self.keep_key(key)
        body = {"algorithm": ALGORITHM, "auth_data": auth_data}
        path = make_path("room_keys", "version")
        version = (await crypto.client.api.post(_Created, path, body)).version
        self.enable(BackupInfo(ALGORITHM, auth_data, version))
        return version

    async def delete(self, version: str) -> None:
        """Deletes a version and what is in it."""
        path = make_path("room_keys", "version", version)
        await self._crypto.client.api.call("DELETE", path)
        if self.in_use is not None and self.in_use.version == version:
            self.disable("deleted")

    def _announce(self, state: BackupPhase) -> None:
        assert self.in_use is not None
        version = self.in_use.version
        announce(self._crypto, "backup", BackupChange(kind="backup", state=state, version=version))


def _has_signed(own: Identity, auth_data: dict[str, Any]) -> bool:
    key = own.master_key
    return verify_signature(auth_data, own.user_id, f"ed25519:{key}", key)
