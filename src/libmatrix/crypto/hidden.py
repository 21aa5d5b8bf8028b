"""Events that `show_messages_from` keeps from the host, until their sender is trusted."""

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

# Of one room, and of all: the newest.
_MOST_OF_A_ROOM = 1_000
_MOST = 10_000
# Of the time before each; after it, the sender as JSON and a line's end.
_DIGITS = 16
_LONGEST_SENDER = 255
_LONGEST_HEAD = 2_048
# Bytes that count as one event.
_UNIT = 4_096


class Hidden:
    """Keeps them as they came, by the place of their session and event id."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._table = crypto.store.hidden
        # The places of each sender's events.
        self._places: dict[str, set[str]] = {}
        self._quota: Quota[Key] = Quota(_MOST_OF_A_ROOM, _MOST, self._load)
        crypto.devices.on_change.append(self._look_at)

    def keep(self, place: str, event_id: str, sender: str, raw: bytes) -> None:
        """Keeps an event, once."""
        key = (place, event_id)
        if key in self._quota or len(sender) > _LONGEST_SENDER:
            return
        since = f"{time.time_ns() // 1_000_000:0{_DIGITS}}".encode()
        self._table.put(place, event_id, since + encode(sender) + b"\n" + raw)
        self._places.setdefault(sender, set()).add(place)
        for gone in self._quota.add(_room_of(place), key, weight_of(len(raw))):
            self._table.delete(*gone)

    def redacted(self, room_id: str, event_id: str) -> None:
        """An event of a room must not be shown any more."""
        for place, name in self._quota.of(room_id):
            if name == event_id:
                self.forget(place, name)

    def of(self, place: str) -> dict[str, bytes]:
        """The events of a session by their ids, as the homeserver sent them."""
        return {name: value.partition(b"\n")[2] for name, value in self._table.of(place).items()}

    def forget(self, place: str, event_id: str) -> None:
        """An event is hidden no more."""
        if self._quota.remove((place, event_id)):
            self._table.delete(place, event_id)

    def has(self, room_id: str) -> bool:
        """Whether any of a room are hidden."""
        return bool(self._quota.of(room_id))

    def due(self) -> set[tuple[str, str]]:
        """Sessions, by room and session id, of which events can be shown now."""
        # The first look has them loaded.
        len(self._quota)
        return {pair for sender in self._places for pair in self._due_of(sender)}

    def _due_of(self, sender: str) -> set[tuple[str, str]]:
        places = {place for place in self._places[sender] if self._table.of(place)}
        self._places[sender] = places
        pairs = {(_room_of(place), place.rpartition("|")[2]) for place in places}
        return {pair for pair in pairs if self._crypto.decryptor.shows(*pair, sender)}

    def _look_at(self, user_id: str) -> None:
        """Something is known of a user that was not."""
        len(self._quota)
        if user_id in self._places:
            for pair in self._due_of(user_id):
                self._crypto.late.can_read(*pair)

    def _load(self) -> Iterator[tuple[str, Key, int]]:
        """What the file has, which is all by then, without the events themselves."""
        query = "SELECT first, second, substr(value, 1, ?), length(value) FROM hidden_event"
        rows: list[tuple[bytes, Key, int]] = []
        for place, event_id, start, size in self._crypto.store.disk.rows(query, _LONGEST_HEAD):
            head = start.partition(b"\n")[0]
            sender = msgspec.json.decode(head[_DIGITS:], type=str)
            self._places.setdefault(sender, set()).add(place)
            rows.append((head[:_DIGITS], (place, event_id), size))
        for _, key, size in sorted(rows):
            yield _room_of(key[0]), key, weight_of(size)


def weight_of(size: int) -> int:
    """What an event of so many bytes counts."""
    return 1 + size // _UNIT


def _room_of(place: str) -> str:
    return place.rpartition("|")[0]
