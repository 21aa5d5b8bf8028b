"""One send: what it is, how the store keeps it, and whether it is small enough."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Raw

from libmatrix.api import make_path
from libmatrix.errors import MatrixError, TooLargeError

if TYPE_CHECKING:
    from libmatrix.table_gen import SendState
    from libmatrix.tasks import Signal

# Client-server API, "Size limits".
MOST_BYTES = 65_536
_MOST_NAME_BYTES = 255
# All but the content, with names of that size in which every byte is escaped.
_MOST_OTHER_BYTES = 8 * 1024
# A homeserver forgets transaction ids after a day; half of that is safe whatever its clock says.
MEMORY_MS = 12 * 3_600_000
REDACTION = "m.room.redaction"

Kind = Literal["event", "state", "redaction"]


class Draft(msgspec.Struct, omit_defaults=True):
    """What is to be sent, as the store keeps it."""

    kind: Kind
    type: str
    txn_id: str
    queued_ms: int
    content: Raw
    # Of a state event its state key, of a redaction the event it empties.
    key: str = ""
    # Of a state event without a state key: it changes what the room has when it is its turn.
    is_change: bool = False


class Frozen(msgspec.Struct):
    """What goes out instead of the draft, from the first attempt on."""

    type: str
    content: Raw


class Item:
    """A send that is not over."""

    __slots__ = (
        "attempts",
        "changes_device",
        "content",
        "draft",
        "ending",
        "event_id",
        "failure",
        "frozen",
        "is_in_flight",
        "is_out",
        "is_over",
        "is_restored",
        "is_unknown",
        "room_id",
        "send_id",
        "state",
        "timer",
        "tried_ms",
        "waiters",
    )

    def __init__(self, send_id: int, room_id: str, draft: Draft) -> None:
        self.send_id = send_id
        self.room_id = room_id
        self.draft = draft
        # When the first attempt began of which the store does not know that it came to nothing.
        self.tried_ms: int | None = None
        # What becomes of that attempt is not known.
        self.is_unknown = False
        self.frozen: Frozen | None = None
        self.state: SendState = "queued"
        self.attempts = 0
        self.is_restored = False
        # An attempt is being made; and its request may be at the homeserver already.
        self.is_in_flight = self.is_out = False
        # The client has become another device meanwhile.
        self.changes_device = False
        # It has its outcome, whatever becomes of a request on its way.
        self.is_over = False
        # What it ends with instead of another attempt.
        self.ending: MatrixError | None = None
        self.failure: MatrixError | None = None
        # When it is over: where it is in the room, unless `failure` says why it is not.
        self.event_id = ""
        self.waiters: list[Signal] = []
        self.timer: asyncio.TimerHandle | None = None

    @property
    def place(self) -> tuple[str, Kind, str, str, str]:
        """What makes two sends the same."""
        return (self.room_id, *place_of(self.draft))

    @property
    def path(self) -> str:
        """Where it is sent to."""
        draft = self.draft
        if draft.kind == "state":
            return make_path("rooms", self.room_id, "state", draft.type, draft.key)
        if draft.kind == "redaction":
            return make_path("rooms", self.room_id, "redact", draft.key, draft.txn_id)
        return make_path("rooms", self.room_id, "send", self.type, draft.txn_id)

    @property
    def type(self) -> str:
        """Of which type the event is that goes out."""
        return self.draft.type if self.frozen is None else self.frozen.type

    @property
    def body(self) -> Raw:
        """What is sent there."""
        return self.draft.content if self.frozen is None else self.frozen.content

    @property
    def is_forgotten(self) -> bool:
        """Whether the homeserver may not know any more that it took it."""
        if not self.is_unknown or self.tried_ms is None:
            return False
        # A clock that was set back says nothing about how long ago it was.
        return not -MEMORY_MS < now_ms() - self.tried_ms < MEMORY_MS


def place_of(draft: Draft) -> tuple[Kind, str, str, str]:
    """What makes two sends to a room the same."""
    return draft.kind, draft.type, draft.key, draft.txn_id


def now_ms() -> int:
    """The wall clock, ms since 1970."""
    return time.time_ns() // 1_000_000


def check_size(sender: str, room_id: str, draft: Draft) -> None:
    """Raises when the homeserver could not take it, whatever it adds.

    Counted is what a client knows of the event: content, type, keys, room and sender. The
    homeserver adds hashes, signatures and references to other events, some 500 to 2,000 bytes.
    """
    names = [("event type", draft.type), ("room id", room_id)]
    names.append(("state key" if draft.kind == "state" else "event id", draft.key))
    for what, text in names:
        if 4 * len(text) > _MOST_NAME_BYTES and len(text.encode()) > _MOST_NAME_BYTES:
            raise TooLargeError(f"the {what} is larger than {_MOST_NAME_BYTES} bytes")
    if len(draft.content) < MOST_BYTES - _MOST_OTHER_BYTES:
        return
    size = _size(sender, room_id, draft)
    if size > MOST_BYTES:
        # Some of the content may be a text of the host's, with blanks that are not sent on.
        draft.content = Raw(msgspec.json.encode(msgspec.json.decode(draft.content)))
        size = _size(sender, room_id, draft)
    if size > MOST_BYTES:
        raise TooLargeError(f"the event has {size} bytes, and {MOST_BYTES} are allowed")


def check_encrypted_size(sender: str, room_id: str, draft: Draft, frozen: Frozen) -> None:
    """The same for what came of encrypting it."""
    check_size(sender, room_id, Draft("event", frozen.type, draft.txn_id, 0, frozen.content))


def _size(sender: str, room_id: str, draft: Draft) -> int:
    event: dict[str, Any] = {
        "content": {},
        "origin_server_ts": draft.queued_ms,
        "room_id": room_id,
        "sender": sender,
        "type": draft.type,
    }
    if draft.kind == "state":
        event["state_key"] = draft.key
    elif draft.kind == "redaction":
        event["redacts"] = draft.key
    return len(msgspec.json.encode(event)) + len(draft.content) - 2
