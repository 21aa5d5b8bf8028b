"""A lock on a store's folder, for as long as a client has it: by one descriptor, also at rest.

A record lock, which a forked child does not hold on to and the system drops with the process. As
such a lock does not keep out its own process, that has a list.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from libmatrix.descriptors import NONE_LEFT
from libmatrix.errors import StoreError, StoreLockedError

_FILE = "libmatrix.lock"
# Device and inode of each lock file that this process has locked.
_held: set[tuple[int, int]] = set()


class StoreLock:
    """Keeps every other client out of a folder until it is released."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._fd = -1
        try:
            self._refuse_own()
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            is_locked = self._fd >= 0
            self._close()
            if is_locked:
                raise self._locked() from None
            raise self._failed(error) from None
        except (OSError, ValueError) as error:
            self._close()
            raise self._failed(error) from None
        self._id = _identify(os.fstat(self._fd))
        _held.add(self._id)

    def release(self) -> None:
        """Lets others in."""
        if self._fd >= 0:
            _held.discard(self._id)
            self._close()

    def _refuse_own(self) -> None:
        """Not by opening the file: to close it again would drop the lock."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return
        if _identify(found) in _held:
            raise self._locked()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _locked(self) -> StoreLockedError:
        return StoreLockedError(f"the store {self._path.parent} is open in another client")

    def _failed(self, error: OSError | ValueError) -> StoreError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        is_short = isinstance(error, OSError) and error.errno in NONE_LEFT
        text = f"the store {self._path.parent} cannot be locked: {reason}"
        return StoreError(text, code="E_TOO_MANY_FILES" if is_short else None)


def _identify(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
