"""Whether file descriptors have run out, which libraries hide behind other errors."""

from __future__ import annotations

import errno
import os

NONE_LEFT = frozenset({errno.EMFILE, errno.ENFILE})


def have_run_out(error: BaseException | None = None) -> bool:
    """Whether an error, or one more descriptor now, says so."""
    if isinstance(error, OSError) and error.errno in NONE_LEFT:
        return True
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_CLOEXEC))
    except OSError as refused:
        return refused.errno in NONE_LEFT
    return False
