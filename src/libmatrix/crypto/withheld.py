"""Why keys are not given to this device (m.room_key.withheld): anybody may say so, of anything.

What counts is what the sender of an event says of that event's key.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from libmatrix.crypto.quota import Quota
from libmatrix.crypto.records import encode

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto
    from libmatrix.crypto.store import Key
    from libmatrix.crypto.to_device import Incoming

# Of one user, and of all.
_MOST_OF_ONE = 1_000
_MOST = 10_000
_MOST_LETTERS = 255
_MOST_CODE_LETTERS = 100


class _Kept(msgspec.Struct):
    code: str
    sender_key: str
    since_ms: int


_decode = msgspec.json.Decoder(_Kept).decode


class Withheld:
    """What others said, by the place of the session and who said it."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._table = crypto.store.withheld
        self._quota: Quota[Key] = Quota(_MOST_OF_ONE, _MOST, self._load)
        crypto.to_device.on_incoming("m.room_key.withheld", self._take)

    def code(
        self, room_id: str, session_id: str, sender: str, sender_key: str | None
    ) -> str | None:
        """Why the sender of an event does not give its key, if that was said.

        `sender_key`: the key of the device that made the session, where the event tells it.
        """
        data = self._table.get(f"{room_id}|{session_id}", sender)
        if data is None:
            return None
        kept = _decode(data)
        # Of a session of another device of theirs.
        is_other = sender_key and kept.sender_key and sender_key != kept.sender_key
        return None if is_other else kept.code

    def _take(self, incoming: Incoming) -> None:
        content = incoming.content
        room_id, session_id, code = (content.get(k) for k in ("room_id", "session_id", "code"))
        sender_key = content.get("sender_key")
        if not isinstance(sender_key, str) or len(sender_key) > _MOST_LETTERS:
            sender_key = ""
        if code == "m.no_olm":
            # It could not reach us: perhaps we can reach it, and it answers by that way.
            if sender_key:
                self._crypto.wedged(incoming.sender, sender_key)
        elif isinstance(room_id, str) and isinstance(session_id, str) and isinstance(code, str):
            kept = _Kept(code[:_MOST_CODE_LETTERS], sender_key, time.time_ns() // 1_000_000)
            self._keep(room_id, session_id, incoming.sender, kept)

    def _keep(self, room_id: str, session_id: str, sender: str, kept: _Kept) -> None:
        if max(len(room_id), len(session_id), len(sender)) > _MOST_LETTERS:
            return
        place = (f"{room_id}|{session_id}", sender)
        self._table.put(*place, encode(kept))
        for gone in self._quota.add(sender, place):
            self._table.delete(*gone)

    def _load(self) -> Iterator[tuple[str, Key, int]]:
        rows: list[tuple[int, Key]] = []
        for place, data in self._table.all().items():
            rows.append((_decode(data).since_ms, place))
        for _, place in sorted(rows):
            yield place[1], place, 1
