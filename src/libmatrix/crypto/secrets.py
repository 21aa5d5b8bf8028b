"""The account's secret storage: secrets in account data, opened by one key.

Specification: client-server API, secrets.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from libmatrix.api import decode, make_path
from libmatrix.crypto.cross_signing import SECRETS
from libmatrix.crypto.recovery_key import decode_recovery_key, encode_recovery_key
from libmatrix.crypto.secret_storage import (
    ALGORITHM,
    KeyDescription,
    Sealed,
    StorageKey,
    decrypt_secret,
    encrypt_secret,
    is_key_of,
    key_of_passphrase,
)
from libmatrix.errors import (
    BROKEN_JSON,
    HomeserverError,
    MissingSecretError,
    NoSecretStorageError,
    RecoveryKeyError,
    ResponseError,
)

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

BACKUP = "m.megolm_backup.v1"
# What the specification names.
KNOWN = (*SECRETS, BACKUP)
_DEFAULT = "m.secret_storage.default_key"
_KEY = "m.secret_storage.key."
_NEWEST = "newest storage key"

_encode = msgspec.json.Encoder().encode


class _DefaultKey(msgspec.Struct):
    key: str


class _Newest(msgspec.Struct):
    """The key of storage that was made here, until somebody opens it."""

    key_id: str
    key: bytes


class _Stored(msgspec.Struct):
    encrypted: dict[str, Any] = {}


class SecretStorage:
    """Reads and writes secrets.

    The key is kept in memory only; one that was made here in the store, too, until it is used.
    """

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._open: StorageKey | None = None

    @property
    def is_open(self) -> bool:
        """Whether secrets can be read and written."""
        return self._open is not None

    async def default_key(self) -> tuple[str, KeyDescription] | None:
        """Id and description of the account's key; None without secret storage.

        Raises `ResponseError`.
        """
        content = await self._fetch(_DEFAULT)
        if content is None:
            return None
        try:
            key_id = msgspec.json.decode(content, type=_DefaultKey).key
        except BROKEN_JSON:
            # Emptied: there is no other way to take account data back.
            return None
        description = await self._fetch(_KEY + key_id)
        if description is None:
            return None
        try:
            return key_id, msgspec.json.decode(description, type=KeyDescription)
        except BROKEN_JSON:
            raise ResponseError("the description of the secret storage's key is broken") from None

    async def open(self, recovery_key: str | None, passphrase: str | None) -> str:
        """Opens it by one of the two; returns the id of its key.

        Raises `NoSecretStorageError` and `RecoveryKeyError`.
        """
        # What is no recovery key at all needs nobody to be asked.
        key = _decode(recovery_key) if recovery_key is not None else None
        found = await self.default_key()
        if found is None:
            raise NoSecretStorageError
        key_id, description = found
        if description.algorithm != ALGORITHM:
            raise RecoveryKeyError("the secret storage is of an unknown kind")
        if key is None:
            key = await _derive(passphrase or "", description)
        if not is_key_of(key, description):
            raise RecoveryKeyError("it does not open this account's secret storage")
        self._open = StorageKey(key_id, key, description)
        self._crypto.store.secrets.delete(_NEWEST)
        return key_id

    async def _open_unfinished(self) -> None:
        """Opens storage that this device made last, which nobody has opened since."""
        kept, found = self._crypto.store.secrets.get(_NEWEST), await self.default_key()
        if kept is None or found is None:
            return
        newest, (key_id, description) = msgspec.json.decode(kept, type=_Newest), found
        if newest.key_id == key_id and is_key_of(newest.key, description):
            self._open = StorageKey(key_id, newest.key, description)

    async def create(
        self, passphrase: str | None, name: str | None, own: dict[str, str]
    ) -> tuple[str, StorageKey]:
        """New secret storage with the secrets in `own`; returns its recovery key.

        What the old one held, if it is open, is taken along. Until the new one is whole the old
        one is good.
        """
        if self._open is None:
            await self._open_unfinished()
        secrets = {**await self._all(), **own}
        key = await asyncio.to_thread(StorageKey.create, passphrase, name)
        # A crash before anybody was told the key must not lose what only it opens.
        self._crypto.store.secrets.put(_NEWEST, "", _encode(_Newest(key.key_id, key.key)))
        self._crypto.store.flush()
        await self._store(_KEY + key.key_id, msgspec.to_builtins(key.description))
        for secret, value in secrets.items():
            await self._put(key, secret, value, keeps_others=True)
        await self._store(_DEFAULT, {"key": key.key_id})
        self._open = key
        for secret, value in secrets.items():
            # The old key, which may have leaked, opens nothing any more.
            await self._put(key, secret, value, keeps_others=False)
        return encode_recovery_key(key.key), key

    async def get(self, name: str) -> str | None:
        """A secret; None when there is none for this key. Raises `RecoveryKeyError`."""
        key = self._require()
        stored = await self._stored(name)
        sealed = stored.encrypted.get(key.key_id)
        if sealed is None:
            return None
        try:
            return decrypt_secret(key.key, name, msgspec.convert(sealed, Sealed))
        except (ValueError, msgspec.ValidationError):
            raise RecoveryKeyError(f"the secret {name} is broken or of another key") from None

    async def put(self, name: str, secret: str) -> None:
        """Puts a secret in; what another key kept under its name is gone."""
        await self._put(self._require(), name, secret, keeps_others=False)

    async def names(self, key_id: str) -> list[str]:
        """The secrets there are for a key, as far as their names are known."""
        types = self._crypto.client.state.account_data_types()
        found = []
        for name in sorted({*KNOWN, *types}):
            if name.startswith("m.secret_storage."):
                continue
            kept = self._kept(name)
            if name not in KNOWN and (kept is None or not _encrypted(kept)):
                continue
            # What is kept may be from before it was encrypted anew.
            content = await self._fetch(name)
            if content is not None and key_id in _encrypted(content):
                found.append(name)
        return found

    # -- inside -------------------------------------------------------------------------------

    async def _all(self) -> dict[str, str]:
        """What the open storage holds."""
        if self._open is None:
            return {}
        found = {name: await self.get(name) for name in await self.names(self._open.key_id)}
        return {name: value for name, value in found.items() if value is not None}

    async def _put(self, key: StorageKey, name: str, secret: str, *, keeps_others: bool) -> None:
        others = (await self._stored(name)).encrypted if keeps_others else {}
        sealed = msgspec.to_builtins(encrypt_secret(key.key, name, secret))
        await self._store(name, {"encrypted": {**others, key.key_id: sealed}})

    async def _stored(self, name: str) -> _Stored:
        content = await self._fetch(name)
        return _Stored(_encrypted(content) if content is not None else {})

    def _kept(self, name: str) -> bytes | None:
        return self._crypto.client.state.account_data("", name)

    def _require(self) -> StorageKey:
        if self._open is None:
            raise MissingSecretError("the key of the secret storage")
        return self._open

    def _path(self, kind: str) -> str:
        return make_path("user", self._crypto.user_id, "account_data", kind)

    async def _fetch(self, kind: str) -> bytes | None:
        """Always as the homeserver has it: another client may just have changed it."""
        try:
            return await self._crypto.client.api.call("GET", self._path(kind))
        except HomeserverError as error:
            if error.http_status == 404:
                return None
            raise

    async def _store(self, kind: str, content: Any) -> None:
        await self._crypto.client.api.call("PUT", self._path(kind), body=content)


def _encrypted(content: bytes) -> dict[str, Any]:
    """The part of account data that makes it a secret, of any shape."""
    try:
        return decode(content, _Stored).encrypted
    except ResponseError:
        return {}


def _decode(recovery_key: str) -> bytes:
    try:
        return decode_recovery_key(recovery_key)
    except ValueError as error:
        raise RecoveryKeyError(str(error)) from None


async def _derive(passphrase: str, description: KeyDescription) -> bytes:
    if description.passphrase is None:
        raise RecoveryKeyError("no passphrase opens the secret storage, only its recovery key")
    if description.mac is None or description.iv is None:
        # Else a homeserver could have secrets encrypted with a passphrase made cheap to guess.
        raise RecoveryKeyError("the passphrase cannot be checked; use the recovery key")
    try:
        return await asyncio.to_thread(key_of_passphrase, passphrase, description.passphrase)
    except ValueError as error:
        raise RecoveryKeyError(str(error)) from None
