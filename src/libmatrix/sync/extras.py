"""What a sync brings beside rooms' events: receipts, typing, presence, to-device, account data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Raw

from libmatrix.errors import BROKEN_JSON
from libmatrix.events.head import EventHead, MalformedEventError, read_event
from libmatrix.log import Log
from libmatrix.rooms.room import RoomState, decode_tags
from libmatrix.sync.post import Post
from libmatrix.sync.subscriptions import Subscriptions
from libmatrix.table_gen import (
    AccountChange,
    PresenceChange,
    Receipt,
    ToDeviceEvent,
    TypingChange,
)

_TAGS = "m.tag"
_MARKED_UNREAD = "m.marked_unread"
# Before it was specified; what it says counts where the other is not there.
_EARLY_MARKED_UNREAD = "com.famedly.marked_unread"


class _Typing(msgspec.Struct, gc=False):
    user_ids: list[str]


class _Presence(msgspec.Struct, gc=False):
    presence: str
    status_msg: str | None = None
    last_active_ago: int | None = None
    currently_active: bool = False


class _Read(msgspec.Struct, gc=False):
    ts: Any = None
    thread_id: Any = None


class _Marked(msgspec.Struct, gc=False):
    unread: bool = False


_decode_receipts = msgspec.json.Decoder(dict[str, dict[str, dict[str, Raw]]]).decode
_decode_read = msgspec.json.Decoder(_Read).decode
_decode_typing = msgspec.json.Decoder(_Typing).decode
_decode_presence = msgspec.json.Decoder(_Presence).decode
_decode_marked = msgspec.json.Decoder(_Marked).decode


class Malformed:
    """Tells what had to be left out of a sync, and counts it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.count = 0

    def report(self, message: str) -> None:
        """One thing that was left out."""
        self.count += 1
        self._log.record("warning", "sync", message, "E_MALFORMED_EVENT")


class Extras:
    """Gives them to who asked. `malformed` is told where something had to be left out.

    `is_tame` is what the bridge said of the whole sync.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        post: Post,
        user_id: str,
        malformed: Callable[[str], None],
        is_tame: bool,
    ) -> None:
        self._subscriptions = subscriptions
        self._post = post
        self._user_id = user_id
        self._malformed = malformed
        self._is_tame = is_tame

    async def take_ephemeral(self, room_id: str, events: list[Raw]) -> None:
        """Receipts and typing of a room."""
        wishes = self._subscriptions.wishes
        if not events or not (wishes("receipt") or wishes("typing")):
            return
        for head, place, _ in self._read(events, f"{room_id}: ephemeral event", self._is_tame):
            try:
                if head.type == "m.receipt":
                    await self._take_receipts(room_id, head)
                elif head.type == "m.typing":
                    self._take_typing(room_id, head)
            except BROKEN_JSON as error:
                self._malformed(f"{place} was left out: {error}")
            await self._post.passed(1)

    async def take_presence(self, events: list[Raw]) -> None:
        """Presence of users."""
        if not events or not self._subscriptions.wishes("presence"):
            return
        for head, place, _ in self._read(events, "presence", self._is_tame):
            try:
                said = _decode_presence(head.content)
            except BROKEN_JSON as error:
                self._malformed(f"{place} was left out: {error}")
                continue
            is_own = head.sender == self._user_id
            wishes = self._subscriptions.wishes("presence")
            change = PresenceChange(
                kind="presence",
                user_id=head.sender,
                presence=said.presence,
                status_msg=said.status_msg,
                last_active_ago=said.last_active_ago,
                is_currently_active=said.currently_active,
                is_own=is_own,
            )
            wanted = [w for w in wishes if w.matches(sender=head.sender, is_own=is_own)]
            self._post.give(wanted, change)
            await self._post.passed(1)

    async def take_to_device(self, events: list[Raw], devices: dict[int, str | None]) -> None:
        """Events for this device alone; `devices` has the senders' of those that came encrypted."""
        if not self._subscriptions.wishes("to_device"):
            return
        for index, raw in enumerate(events):
            # The bridge has not seen what came encrypted.
            for head, _, data in self._read([raw], "to-device event", False, index):
                event = ToDeviceEvent(
                    kind="to_device",
                    type=head.type,
                    sender=head.sender,
                    content=head.content,
                    raw=Raw(data),
                    is_own=head.sender == self._user_id,
                    is_encrypted=index in devices,
                    sender_device_id=devices.get(index),
                )
                wishes = self._subscriptions.wishes("to_device")
                asked = (None, head.type, head.sender, event.is_own)
                self._post.give([wish for wish in wishes if wish.matches(*asked)], event)
            await self._post.passed(1)

    def take_account_data(self, room: RoomState | None, events: list[Raw]) -> Iterator[EventHead]:
        """Account data, of a room or of all; each is given to the caller too."""
        kind = "account_data" if room is None else "room_account_data"
        room_id = room.room_id if room is not None else None
        what = f"{room_id or 'the account'}: account data"
        for head, _, _ in self._read(events, what, self._is_tame):
            if room is not None:
                _take_marks(room, head)
            yield head
            wishes = self._subscriptions.wishes(kind)
            wanted = [wish for wish in wishes if wish.matches(room_id, head.type)]
            change = AccountChange(kind=kind, room_id=room_id, type=head.type, content=head.content)
            self._post.give(wanted, change)

    # -- inside -------------------------------------------------------------------------------

    def _read(
        self, events: list[Raw], what: str, is_tame: bool, first: int = 0
    ) -> Iterator[tuple[EventHead, str, bytes]]:
        """The sound ones, with the words for their places."""
        for index, raw in enumerate(events, first):
            data = bytes(raw)
            place = f"{what} {index}"
            try:
                head = read_event(data, is_tame)
            except MalformedEventError as error:
                self._malformed(f"{place} was left out: {error}")
                continue
            yield head, place, data

    async def _take_receipts(self, room_id: str, head: EventHead) -> None:
        wishes = [w for w in self._subscriptions.wishes("receipt") if w.room_id in (None, room_id)]
        if not wishes:
            return
        for event_id, kinds in _decode_receipts(head.content).items():
            for kind, users in kinds.items():
                for user_id, raw in users.items():
                    is_own = user_id == self._user_id
                    wanted = [w for w in wishes if w.matches(room_id, None, user_id, is_own)]
                    read = _decode_read(raw)
                    receipt = Receipt(
                        kind="receipt",
                        room_id=room_id,
                        event_id=event_id,
                        user_id=user_id,
                        type=kind,
                        origin_server_ts=read.ts if type(read.ts) is int else None,
                        thread_id=read.thread_id if isinstance(read.thread_id, str) else None,
                        is_own=is_own,
                    )
                    self._post.give(wanted, receipt)
                    await self._post.passed(1)

    def _take_typing(self, room_id: str, head: EventHead) -> None:
        wishes = [w for w in self._subscriptions.wishes("typing") if w.matches(room_id)]
        if wishes:
            users = _decode_typing(head.content).user_ids
            self._post.give(wishes, TypingChange(kind="typing", room_id=room_id, user_ids=users))


def _take_marks(room: RoomState, head: EventHead) -> None:
    """What of a room's account data the room itself tells."""
    try:
        if head.type == _TAGS:
            room.tags = decode_tags(head.content)
        elif head.type in (_MARKED_UNREAD, _EARLY_MARKED_UNREAD):
            room.is_marked_unread = _decode_marked(head.content).unread
    except BROKEN_JSON:
        # Who wrote it there can read it as it is; the room keeps what it had.
        return
