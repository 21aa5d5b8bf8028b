"""What a client's host wants to hear, and the payloads of the events it hears."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from libmatrix.log import Log
from libmatrix.table_gen import EVENTS, MessageFilter


class Subscription:
    """One wish."""

    __slots__ = ("filter", "handle")

    def __init__(self, handle: int, wanted: MessageFilter) -> None:
        self.handle = handle
        self.filter = wanted

    def wants(self, room_id: str, sender: str, msgtype: str | None, is_own: bool) -> bool:
        """Whether an event passes the filter."""
        wanted = self.filter
        return (
            (wanted.room_id is None or wanted.room_id == room_id)
            and (wanted.sender is None or wanted.sender == sender)
            and (wanted.msgtype is None or wanted.msgtype == msgtype)
            and not (wanted.not_own and is_own)
        )


class Subscriptions:
    """The wishes of one client, by kind of event."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._kinds: dict[int, str] = {}
        self.messages: dict[int, Subscription] = {}

    def add(self, handle: int, kind: str, body: Raw) -> None:
        """Takes a wish; the core has checked it against the same list."""
        spec = EVENTS[kind]
        wanted = msgspec.json.decode(body, type=spec.filter)
        self._kinds[handle] = kind
        if isinstance(wanted, MessageFilter):
            self.messages[handle] = Subscription(handle, wanted)

    def remove(self, handle: int) -> None:
        """Drops a wish."""
        if self._kinds.pop(handle, None) is not None:
            self.messages.pop(handle, None)

    def of(self, kind: str) -> list[int]:
        """The handles of all wishes for a kind."""
        return [handle for handle, its in self._kinds.items() if its == kind]

    def __bool__(self) -> bool:
        return bool(self._kinds)
