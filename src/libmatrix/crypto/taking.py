"""Many room keys taken at once, from a file or a backup, in turns with all else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

# Keys between two reports of progress; others have their turn then.
TURN = 50
# Keys between two writes.
_WRITE = 500

T = TypeVar("T")
# Given how many keys were looked at, and how many there are.
Report = Callable[[int, int], None]


class Taken(NamedTuple):
    """What came of it: how many there were, brought anything new, and were no keys."""

    total: int
    imported: int
    failed: int


async def take_keys(
    crypto: Crypto, keys: Sequence[T], take: Callable[[T], bool], report: Report, turn: int = TURN
) -> Taken:
    """`take` says whether a key brought anything new, and raises ValueError when it is none.

    Raises `StoreError`.
    """
    imported = failed = 0
    report(0, len(keys))
    for number, key in enumerate(keys, 1):
        try:
            imported += take(key)
        except ValueError:
            failed += 1
        if not number % turn:
            report(number, len(keys))
            await asyncio.sleep(0)
        if not number % _WRITE:
            crypto.store.flush()
    crypto.store.flush()
    report(len(keys), len(keys))
    return Taken(len(keys), imported, failed)
