"""Where the key is that seals the store's secrets: in a file beside it, or sealed within."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from libmatrix.errors import StoreError

if TYPE_CHECKING:
    from libmatrix.store.file import Store
    from libmatrix.store.seal import Vault

_KEY_FILE = "libmatrix.key"
_KEY_BYTES = 32
_KEY_NAME = "crypto_key"
_MEMORY_KEY_NAME = "crypto_memory_key"


def load_key(disk: Store, folder: str | None, vault: Vault) -> bytes:
    """The store's key; made when there is none yet. A store in memory has it there, too.

    Raises `StoreError`.
    """
    sealed = disk.meta(_KEY_NAME)
    if sealed is not None:
        return vault.unseal(sealed)
    if folder is None:
        key = disk.meta(_MEMORY_KEY_NAME) or os.urandom(_KEY_BYTES)
        disk.put_meta(_MEMORY_KEY_NAME, key)
        return key
    path = Path(folder) / _KEY_FILE
    found = _read_key(path)
    if found is None and disk.crypto_value("crypto_value", "account", "") is not None:
        raise StoreError(f"the store's key file {path} is missing")
    key = found or os.urandom(_KEY_BYTES)
    if vault.has_key:
        disk.put_meta(_KEY_NAME, vault.seal(key))
        path.unlink(missing_ok=True)
    elif found is None:
        _write_key(path, key)
    return key


def _read_key(path: Path) -> bytes | None:
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"the key file {path} cannot be read: {error.strerror}") from None
    if len(key) != _KEY_BYTES:
        raise StoreError(f"the key file {path} does not hold a key")
    return key


def _write_key(path: Path, key: bytes) -> None:
    """Whole or not at all, and before anything is sealed with it."""
    fresh = path.with_suffix(".new")
    try:
        fresh.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    except OSError as error:
        raise StoreError(f"the key file {path} cannot be written: {error.strerror}") from None


def remove_key(folder: str | None) -> None:
    """Removes the key file: what it sealed cannot be read any more."""
    if folder is not None:
        (Path(folder) / _KEY_FILE).unlink(missing_ok=True)
