"""A store's file on the disk: for this user only, and set aside when it is corrupt."""

from __future__ import annotations

import os
import time
from pathlib import Path


def make_private(path: Path) -> None:
    """Makes the file for this user only."""
    try:
        # A file that exists is not opened: closing it would drop the locks another client of this
        # process has on it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def set_aside(path: Path) -> str:
    """Renames a corrupt store and its log, so that nobody reads or replaces it unawares."""
    stamp = f"corrupt-{time.time_ns()}"
    aside = path.with_name(f"{path.name}.{stamp}")
    try:
        path.rename(aside)
        log = path.with_name(f"{path.name}-wal")
        if log.exists():
            log.rename(path.with_name(f"{aside.name}-wal"))
    except OSError as error:
        return f"it could not be set aside: {error.strerror}"
    return f"it was set aside as {aside.name}"
