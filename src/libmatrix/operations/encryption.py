"""Encryption of rooms and of this device."""

from __future__ import annotations

import msgspec

from libmatrix.client import Client
from libmatrix.encryption import is_encrypted
from libmatrix.errors import EncryptionError, HomeserverError
from libmatrix.table_gen import (
    DiscardRoomKeyArguments,
    DiscardRoomKeyResult,
    EncryptionStatusArguments,
    EncryptionStatusResult,
    ImportNioStoreArguments,
    ImportNioStoreResult,
    RoomEncryptionArguments,
    RoomEncryptionResult,
    SetDeviceTrustArguments,
    SetDeviceTrustResult,
    ShareRoomKeyArguments,
    ShareRoomKeyResult,
)


async def room_encryption(
    client: Client, arguments: RoomEncryptionArguments
) -> RoomEncryptionResult:
    """Whether and how a room is encrypted."""
    client.require_login()
    room_id = arguments.room_id
    if not await is_encrypted(client, room_id):
        return RoomEncryptionResult(is_encrypted=False, is_supported=True)
    if not client.options.encryption:
        return RoomEncryptionResult(is_encrypted=True, is_supported=False)
    crypto = await client.open_crypto()
    content = await crypto.room_encryption(room_id) or {}
    algorithm = content.get("algorithm")
    found = RoomEncryptionResult(
        is_encrypted=True,
        is_supported=False,
        algorithm=algorithm if isinstance(algorithm, str) else None,
    )
    try:
        period_ms, count = await crypto.outbound.settings(room_id)
    except EncryptionError:
        return found
    return msgspec.structs.replace(
        found, is_supported=True, rotation_period_ms=period_ms, rotation_period_msgs=count
    )


async def encryption_status(
    client: Client, arguments: EncryptionStatusArguments
) -> EncryptionStatusResult:
    """This device's own keys."""
    crypto = await client.open_crypto()
    await crypto.ready()
    return EncryptionStatusResult(
        user_id=crypto.user_id,
        device_id=crypto.device_id,
        ed25519=crypto.account.ed25519,
        curve25519=crypto.account.curve25519,
        room_key_count=crypto.store.room_keys.count(),
    )


async def share_room_key(client: Client, arguments: ShareRoomKeyArguments) -> ShareRoomKeyResult:
    """Gives a room's key to its members."""
    crypto = await client.open_crypto()
    await crypto.ready()
    recipients = await crypto.outbound.prepare(arguments.room_id)
    return ShareRoomKeyResult(
        device_count=len(recipients.allowed), withheld_count=len(recipients.refused)
    )


async def discard_room_key(
    client: Client, arguments: DiscardRoomKeyArguments
) -> DiscardRoomKeyResult:
    """Has the next message encrypted with a new key."""
    crypto = await client.open_crypto()
    return DiscardRoomKeyResult(was_discarded=crypto.outbound.discard(arguments.room_id))


async def set_device_trust(
    client: Client, arguments: SetDeviceTrustArguments
) -> SetDeviceTrustResult:
    """Trusts or blocks a device."""
    crypto = await client.open_crypto()
    await crypto.devices.refresh([arguments.user_id])
    device = crypto.devices.get(arguments.user_id, arguments.device_id)
    if device is None:
        raise HomeserverError("there is no such device", code="M_NOT_FOUND")
    changed = msgspec.structs.replace(
        device,
        is_verified=arguments.trust == "verified",
        is_blocked=arguments.trust == "blocked",
    )
    crypto.devices.put(changed)
    crypto.store.flush()
    return SetDeviceTrustResult()


async def import_nio_store(
    client: Client, arguments: ImportNioStoreArguments
) -> ImportNioStoreResult:
    """Takes over what matrix-nio kept."""
    from libmatrix.crypto.nio_store import import_store

    crypto = await client.open_crypto()
    found = import_store(crypto, arguments.path, arguments.passphrase)
    return ImportNioStoreResult(**found._asdict())
