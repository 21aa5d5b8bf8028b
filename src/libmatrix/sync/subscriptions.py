"""What a client's host wants to hear, arranged so that an event finds its subscriptions at once."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from libmatrix.events.head import Brief, EventHead, msgtype_of
from libmatrix.log import Log
from libmatrix.table_gen import EVENTS, Input

MESSAGE = "m.room.message"
MEMBER = "m.room.member"
REACTION = "m.reaction"
REDACTION = "m.room.redaction"
_KIND_OF_TYPE = {MESSAGE: "message", REACTION: "reaction", REDACTION: "redaction"}
_FIELDS = ("room_id", "type", "sender", "state_key", "msgtype")


class Subscription:
    """One wish, its filter taken apart."""

    __slots__ = (
        *_FIELDS,
        "fill_gaps",
        "handle",
        "kind",
        "local_echo",
        "not_own",
        "takes_all",
        "with_content",
    )

    room_id: str | None
    type: str | None
    sender: str | None
    state_key: str | None
    msgtype: str | None

    def __init__(self, handle: int, kind: str, wanted: Input) -> None:
        self.handle = handle
        self.kind = kind
        for name in _FIELDS:
            setattr(self, name, getattr(wanted, name, None))
        self.not_own = bool(getattr(wanted, "not_own", False))
        self.fill_gaps = bool(getattr(wanted, "fill_gaps", False))
        self.local_echo = bool(getattr(wanted, "local_echo", False))
        self.with_content = bool(getattr(wanted, "with_content", False))
        self.takes_all = not self.not_own and all(getattr(self, name) is None for name in _FIELDS)

    def wants(self, room_id: str, head: Brief | EventHead, raw: Raw, user_id: str) -> bool:
        """Whether a room event passes the filter."""
        return self.takes_all or (
            (self.room_id is None or self.room_id == room_id)
            and (self.sender is None or self.sender == head.sender)
            and (self.type is None or self.type == head.type)
            and (self.state_key is None or self.state_key == head.state_key)
            and (self.msgtype is None or self.msgtype == msgtype_of(head, raw))
            and not (self.not_own and head.sender == user_id)
        )

    def matches(
        self,
        room_id: str | None = None,
        kind: str | None = None,
        sender: str | None = None,
        is_own: bool = False,
    ) -> bool:
        """The same for what is no room event; what is not asked about does not matter."""
        return self.takes_all or (
            (self.room_id is None or self.room_id == room_id)
            and (self.type is None or self.type == kind)
            and (self.sender is None or self.sender == sender)
            and not (self.not_own and is_own)
        )


class Routes:
    """Which subscriptions a room event may concern, by what it is."""

    def __init__(self, wishes: list[Subscription]) -> None:
        self.any = [each for each in wishes if each.kind == "any"]
        self.state = [each for each in wishes if each.kind == "state"]
        self.member = self.state + [each for each in wishes if each.kind == "membership"]
        self.by_type = {
            kind: [each for each in wishes if each.kind == name] + self.any
            for kind, name in _KIND_OF_TYPE.items()
        }
        # Who gets every event that is no state, if nobody wants only some of them.
        self.catch_all: tuple[int, ...] | None = None
        is_same = all(wishes == self.any for wishes in self.by_type.values())
        if is_same and all(wish.takes_all for wish in self.any):
            self.catch_all = tuple(wish.handle for wish in self.any)

    def of_timeline(self, head: Brief | EventHead) -> list[Subscription]:
        """For an event of a timeline."""
        if head.state_key is None:
            return self.by_type.get(head.type, self.any)
        return self.of_state(head) + self.any

    def of_state(self, head: Brief | EventHead) -> list[Subscription]:
        """For a state event that is in no timeline."""
        return self.member if head.type == MEMBER else self.state


class Subscriptions:
    """The wishes of one client, by kind of event."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._wishes: dict[int, Subscription] = {}
        self._by_kind: dict[str, list[Subscription]] = {}
        self._arrange()

    def add(self, handle: int, kind: str, body: Raw) -> None:
        """Takes a wish; the core has checked it against the same list."""
        wanted = msgspec.json.decode(body, type=EVENTS[kind].filter)
        self._wishes[handle] = Subscription(handle, kind, wanted)
        self._arrange()

    def remove(self, handle: int) -> None:
        """Drops a wish."""
        if self._wishes.pop(handle, None) is not None:
            self._arrange()

    def of(self, kind: str) -> list[int]:
        """The handles of all wishes for a kind."""
        return [wish.handle for wish in self.wishes(kind)]

    def wishes(self, kind: str) -> list[Subscription]:
        """The wishes for a kind."""
        return self._by_kind.get(kind, [])

    def __bool__(self) -> bool:
        return bool(self._wishes)

    def _arrange(self) -> None:
        by_kind: dict[str, list[Subscription]] = {}
        for wish in self._wishes.values():
            by_kind.setdefault(wish.kind, []).append(wish)
        # Replaced, never changed: a delivery may be looking at them.
        self._by_kind = by_kind
        everything = list(self._wishes.values())
        self.routes = Routes(everything)
        # Only these get what this client sends before the homeserver has it.
        echoed = [wish for wish in everything if wish.local_echo]
        self.echoes = Routes(echoed) if echoed else None
        # Only these get what was fetched to fill a gap.
        self.fillers = [wish for wish in everything if wish.fill_gaps]
        self.filler_routes = Routes(self.fillers)
