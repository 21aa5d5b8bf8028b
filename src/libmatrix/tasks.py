"""Where an operation becomes a task."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator


@types.coroutine
def in_task() -> Generator[None, None, None]:
    """The first wait of an operation: from here on it is a task, and may use timeouts."""
    if asyncio.current_task() is None:
        yield
