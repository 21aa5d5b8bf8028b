"""The key backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libmatrix.client import Client
from libmatrix.errors import MissingSecretError, NoBackupError, RecoveryKeyError
from libmatrix.table_gen import (
    BackupStateArguments,
    BackupStateResult,
    CreateBackupArguments,
    CreateBackupResult,
    DeleteBackupArguments,
    DeleteBackupResult,
    DisableBackupArguments,
    DisableBackupResult,
    EnableBackupArguments,
    EnableBackupResult,
    RestoreBackupArguments,
    RestoreBackupProgress,
    RestoreBackupResult,
    RestoreRoomKeyArguments,
    RestoreRoomKeyResult,
    UploadBackupArguments,
    UploadBackupProgress,
    UploadBackupResult,
)

if TYPE_CHECKING:
    from libmatrix.crypto.backup import BackupInfo
    from libmatrix.crypto.backup_keys import BackupKey
    from libmatrix.crypto.machine import Crypto


async def create_backup(client: Client, arguments: CreateBackupArguments) -> CreateBackupResult:
    """Makes a new key backup and uses it."""
    from libmatrix.crypto.secrets import BACKUP

    crypto = await client.open_crypto()
    await crypto.ready()
    version = await crypto.backup.create()
    secret, is_stored = crypto.backup.secret(), crypto.secrets.is_open
    if is_stored and secret is not None:
        await crypto.secrets.put(BACKUP, secret)
    return CreateBackupResult(version=version, is_key_stored=is_stored)


async def enable_backup(client: Client, arguments: EnableBackupArguments) -> EnableBackupResult:
    """Uses the account's key backup."""
    from libmatrix.crypto.recovery import store_secrets
    from libmatrix.crypto.secrets import BACKUP

    crypto = await client.open_crypto()
    await crypto.devices.refresh([crypto.user_id])
    info = await crypto.backup.require()
    key = await _find_key(crypto, info, arguments.recovery_key)
    crypto.backup.enable(info)
    secret = crypto.backup.secret()
    if secret is not None:
        await store_secrets(crypto, {BACKUP: secret})
    return EnableBackupResult(version=info.version, has_key=key is not None)


async def disable_backup(client: Client, arguments: DisableBackupArguments) -> DisableBackupResult:
    """Uploads no more room keys."""
    crypto = await client.open_crypto()
    crypto.backup.disable()
    return DisableBackupResult()


async def delete_backup(client: Client, arguments: DeleteBackupArguments) -> DeleteBackupResult:
    """Deletes a key backup."""
    crypto = await client.open_crypto()
    version = arguments.version
    if version is None:
        version = (await crypto.backup.require()).version
    await crypto.backup.delete(version)
    return DeleteBackupResult()


async def backup_state(client: Client, arguments: BackupStateArguments) -> BackupStateResult:
    """What there is of the key backup."""
    crypto = await client.open_crypto()
    await crypto.devices.refresh([crypto.user_id])
    backup, info = crypto.backup, await crypto.backup.find()
    in_use = backup.in_use
    has_key = info is not None and info.public_key is not None
    return BackupStateResult(
        version=info.version if info is not None else None,
        count=info.count if info is not None else 0,
        is_enabled=info is not None and in_use is not None and in_use.version == info.version,
        is_trusted=info is not None and backup.is_trusted(info),
        has_key=has_key and backup.key_of(str(info and info.public_key)) is not None,
        waiting_count=backup.upload.waiting_count,
    )


async def upload_backup(client: Client, arguments: UploadBackupArguments) -> UploadBackupResult:
    """Waits until all room keys are in the key backup."""
    report = client.reporter()
    crypto = await client.open_crypto()
    version = await crypto.backup.upload.finish(
        lambda count: report(UploadBackupProgress(waiting_count=count))
    )
    return UploadBackupResult(version=version)


async def restore_backup(client: Client, arguments: RestoreBackupArguments) -> RestoreBackupResult:
    """Fetches all room keys from the key backup."""
    report = client.reporter()
    crypto = await client.open_crypto()
    info = await crypto.backup.require()
    key = await _find_key(crypto, info, arguments.recovery_key)
    if key is None:
        raise MissingSecretError("the key of the backup")
    restored = await crypto.backup.restore.all(
        info,
        key,
        arguments.room_id,
        lambda done, total: report(RestoreBackupProgress(done_count=done, total_count=total)),
    )
    return RestoreBackupResult(
        version=info.version,
        total_count=restored.total,
        imported_count=restored.imported,
        failed_count=restored.failed,
    )


async def restore_room_key(
    client: Client, arguments: RestoreRoomKeyArguments
) -> RestoreRoomKeyResult:
    """Fetches one room key from the key backup."""
    crypto = await client.open_crypto()
    is_new = await crypto.backup.restore.one(arguments.room_id, arguments.session_id)
    return RestoreRoomKeyResult(is_imported=is_new)


async def _find_key(crypto: Crypto, info: BackupInfo, recovery_key: str | None) -> BackupKey | None:
    """The backup's private key: given, here, or in the open secret storage."""
    from libmatrix.crypto.backup_keys import BackupKey
    from libmatrix.crypto.recovery_key import decode_recovery_key

    if info.public_key is None:
        raise NoBackupError
    if recovery_key is not None:
        try:
            key = BackupKey(decode_recovery_key(recovery_key))
        except ValueError as error:
            raise RecoveryKeyError(str(error)) from None
        if key.public_key != info.public_key:
            raise RecoveryKeyError("it is not the key of the newest backup")
    else:
        found = crypto.backup.key_of(info.public_key) or await _stored_key(crypto)
        if found is None or found.public_key != info.public_key:
            return None
        key = found
    crypto.backup.keep_key(key)
    return key


async def _stored_key(crypto: Crypto) -> BackupKey | None:
    """What the open secret storage has; it may be the key of an older backup."""
    from libmatrix.crypto.backup_keys import BackupKey
    from libmatrix.crypto.secrets import BACKUP

    secret = await crypto.secrets.get(BACKUP) if crypto.secrets.is_open else None
    if secret is None:
        return None
    try:
        return BackupKey.from_base64(secret)
    except ValueError:
        return None
