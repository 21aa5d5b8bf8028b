"""Sessions that others sent and that have decrypted nothing: anybody may send any number.

They count for whoever sent them; of those beyond a number the oldest are forgotten. A session stays
for good once it has decrypted something, or has come from this user as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from libmatrix.crypto.quota import Quota

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto
    from libmatrix.crypto.store import Key

# Of one user, and of all. Events that nobody wanted, and those of a gap, are not decrypted.
_MOST_OF_ONE = 5_000
_MOST = 50_000


class UnusedKeys:
    """Who sent them; what several sent is forgotten with the last of them."""

    def __init__(self, crypto: Crypto, forget: Callable[[str, str], None]) -> None:
        """`forget` is given room and session id."""
        self._own_id = crypto.user_id
        self._table = crypto.store.unused_keys
        self._forget = forget
        # By the place of a session: who sent it.
        self._senders: dict[str, set[str]] = {}
        self._quota: Quota[Key] = Quota(_MOST_OF_ONE, _MOST, self._load)

    def came(self, sender: str, room_id: str, session_id: str, *, is_new: bool) -> None:
        """A user sent a session; whoever else sent it cannot have it forgotten."""
        name = f"{room_id}|{session_id}"
        if sender == self._own_id:
            self.stays(room_id, session_id)
            return
        senders = self._of(name)
        if sender in senders or not (senders or is_new):
            return
        senders.add(sender)
        self._senders[name] = senders
        self._table.put(sender, name, f"{time.time_ns() // 1_000_000:016}".encode())
        for place in self._quota.add(sender, (sender, name)):
            self._give_way(*place)

    def stays(self, room_id: str, session_id: str) -> None:
        """A session is of use."""
        name = f"{room_id}|{session_id}"
        for sender in self._of(name):
            self._quota.remove((sender, name))
            self._table.delete(sender, name)
        self._senders.pop(name, None)

    def _give_way(self, sender: str, name: str) -> None:
        self._table.delete(sender, name)
        left = self._senders[name]
        left.discard(sender)
        if not left:
            del self._senders[name]
            room_id, _, session_id = name.rpartition("|")
            self._forget(room_id, session_id)

    def _of(self, name: str) -> set[str]:
        # The first look has them loaded.
        len(self._quota)
        return self._senders.get(name, set())

    def _load(self) -> Iterator[tuple[str, Key, int]]:
        rows = sorted((since, place) for place, since in self._table.all().items())
        for _, (sender, name) in rows:
            self._senders.setdefault(name, set()).add(sender)
            yield sender, (sender, name), 1
