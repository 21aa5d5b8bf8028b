"""Files of room keys."""

from __future__ import annotations

from libmatrix.client import Client
from libmatrix.errors import ArgumentError
from libmatrix.table_gen import (
    ExportRoomKeysArguments,
    ExportRoomKeysProgress,
    ExportRoomKeysResult,
    ImportRoomKeysArguments,
    ImportRoomKeysProgress,
    ImportRoomKeysResult,
)

_MOST_ROUNDS = 20_000_000


async def export_room_keys(
    client: Client, arguments: ExportRoomKeysArguments
) -> ExportRoomKeysResult:
    """Writes room keys to a file."""
    from libmatrix.crypto.key_transfer import export_keys

    report = client.reporter()
    if not arguments.passphrase:
        raise ArgumentError("passphrase: it is empty")
    if not 0 < arguments.rounds <= _MOST_ROUNDS:
        raise ArgumentError(f"rounds: from 1 to {_MOST_ROUNDS}")
    crypto = await client.open_crypto()
    count, text = await export_keys(
        crypto,
        arguments.passphrase,
        path=arguments.path,
        room_id=arguments.room_id,
        rounds=arguments.rounds,
        report=lambda done, total: report(
            ExportRoomKeysProgress(done_count=done, total_count=total)
        ),
    )
    return ExportRoomKeysResult(count=count, text=text)


async def import_room_keys(
    client: Client, arguments: ImportRoomKeysArguments
) -> ImportRoomKeysResult:
    """Reads room keys from a file."""
    from libmatrix.crypto.key_transfer import import_keys

    report = client.reporter()
    if (arguments.path is None) == (arguments.text is None):
        raise ArgumentError("path: either this or text must be given")
    crypto = await client.open_crypto()
    found = await import_keys(
        crypto,
        arguments.passphrase,
        path=arguments.path,
        text=arguments.text,
        report=lambda done, total: report(
            ImportRoomKeysProgress(done_count=done, total_count=total)
        ),
    )
    return ImportRoomKeysResult(
        total_count=found.total, imported_count=found.imported, failed_count=found.failed
    )
