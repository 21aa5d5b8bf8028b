"""What one sync brings: rooms are brought up to date, events go to who asked for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix import frames
from libmatrix.errors import NotLoggedInError
from libmatrix.events import (
    EventHead,
    MalformedEventError,
    read_event,
    read_timeline_event,
)
from libmatrix.frames import frame
from libmatrix.rooms import ENCRYPTION, RoomState, RoomUpdate
from libmatrix.state import Changes
from libmatrix.sync_response import JoinedRoom, LeftRoom, SyncResponse
from libmatrix.table_gen import Event, Membership, SyncOnceResult

if TYPE_CHECKING:
    from libmatrix.client import Client

_MESSAGE = "m.room.message"
# Frames are posted in blocks of about this size, and never more than a quarter more.
_BLOCK_BYTES = 256 * 1024
# Events handled before others get a turn.
_TURN = 512

_encode = msgspec.json.Encoder().encode


class _Message(msgspec.Struct, gc=False):
    body: Any = None
    msgtype: Any = None


class _Account(msgspec.Struct, gc=False):
    type: str
    content: Raw


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_account = msgspec.json.Decoder(_Account).decode


class Delivery:
    """Handles one response. What is to last is gathered in `changes`."""

    def __init__(self, client: Client, response: SyncResponse, *, is_historic: bool) -> None:
        self._client = client
        self._state = client.state
        self._session = client.session
        self._user_id = client.session.user_id or ""
        self._response = response
        self._is_historic = is_historic
        self.changes = Changes()
        self.changes.next_batch = response.next_batch
        self.has_posted = False
        self._block: list[bytes] = []
        self._block_bytes = 0
        self._until_turn = _TURN
        self._event_count = 0
        self._malformed_count = 0

    async def run(self) -> None:
        """Handles everything; waits while the host's queue is full."""
        rooms = self._response.rooms
        self._take_account_data("", self._response.account_data.events)
        for room_id, joined in rooms.join.items():
            await self._join(room_id, joined)
        for room_id, invited in rooms.invite.items():
            self._take_stripped(room_id, "invite", invited.invite_state.events)
        for room_id, knocked in rooms.knock.items():
            self._take_stripped(room_id, "knock", knocked.knock_state.events)
        for room_id, left in rooms.leave.items():
            await self._leave(room_id, left)
        await self._post()

    def set_partial(self, is_partial: bool) -> None:
        """Says whether some state may be missing from now on."""
        self._state.is_partial = self.changes.is_partial = is_partial

    def result(self) -> SyncOnceResult:
        """What the operation answers."""
        rooms = self._response.rooms
        return SyncOnceResult(
            next_batch=self._response.next_batch,
            event_count=self._event_count,
            malformed_count=self._malformed_count,
            joined_room_ids=list(rooms.join),
            invited_room_ids=list(rooms.invite),
            left_room_ids=list(rooms.leave),
        )

    def log_summary(self) -> None:
        """One line about what the sync brought."""
        log = self._client.log
        if log.wants("debug"):
            rooms = len(self.changes.rooms)
            log.record("debug", "sync", f"{self._event_count} timeline events in {rooms} rooms")

    def report_broken(self, place: str) -> None:
        """Says that a part of the response was left out."""
        self._log(f"sync: {place} is broken and was left out")

    # -- rooms --------------------------------------------------------------------------------

    async def _join(self, room_id: str, joined: JoinedRoom) -> None:
        update = self._update(room_id, "join")
        room = update.room
        update.take_summary(joined.summary)
        if joined.unread_notifications is not None:
            room.notification_count = max(joined.unread_notifications.notification_count, 0)
            room.highlight_count = max(joined.unread_notifications.highlight_count, 0)
        self._take_state(update, joined.state.events)
        await self._take_timeline(update, joined.timeline.events)
        self._take_account_data(room_id, joined.account_data.events)
        update.finish()

    async def _leave(self, room_id: str, left: LeftRoom) -> None:
        update = self._update(room_id, "leave")
        self._take_state(update, left.state.events)
        await self._take_timeline(update, left.timeline.events)
        self._take_account_data(room_id, left.account_data.events)
        update.room.notification_count = update.room.highlight_count = 0
        if update.own_membership() == "ban":
            update.take_membership("ban")
        update.finish()

    def _take_stripped(self, room_id: str, membership: Membership, events: list[Raw]) -> None:
        """An invite or a knock: what it tells is all there is."""
        room = RoomState(room_id=room_id, membership=membership, is_stripped=True)
        update = self._keep(room)
        for index, raw in enumerate(events):
            head = self._read(update, "invite state", index, bytes(raw))
            if head is not None and head.state_key is not None:
                update.apply(head)
        update.finish()

    def _update(self, room_id: str, membership: Membership) -> RoomUpdate:
        """The room as it is known, about to be changed."""
        room = self._state.rooms.get(room_id)
        if room is None or (room.is_stripped and membership == "join"):
            # What an invite told is replaced by what the server knows.
            room = RoomState(room_id=room_id, membership=membership)
            self.changes.fresh_rooms.append(room_id)
        update = self._keep(room)
        update.take_membership(membership)
        return update

    def _keep(self, room: RoomState) -> RoomUpdate:
        self._state.rooms[room.room_id] = self.changes.rooms[room.room_id] = room
        return RoomUpdate(room, self._user_id, self._state.members, self._state.member)

    # -- events -------------------------------------------------------------------------------

    def _take_state(self, update: RoomUpdate, events: list[Raw]) -> None:
        for index, raw in enumerate(events):
            head = self._read(update, "state", index, bytes(raw))
            if head is not None:
                self._apply(update, head, raw)

    async def _take_timeline(self, update: RoomUpdate, events: list[Raw]) -> None:
        subscriptions = self._client.subscriptions
        for index, raw in enumerate(events):
            data = bytes(raw)
            head = self._read(update, "timeline", index, data)
            if head is None:
                continue
            self._event_count += 1
            if head.state_key is not None:
                self._apply(update, head, raw)
            elif subscriptions.messages and head.type == _MESSAGE:
                self._give(update.room.room_id, head, data)
            self._until_turn -= 1
            if self._block_bytes >= _BLOCK_BYTES or self._until_turn <= 0:
                await self._post()

    def _apply(self, update: RoomUpdate, head: EventHead, raw: Raw) -> None:
        if head.state_key is not None:
            update.apply(head)
            self.changes.states.append((update.room.room_id, head.type, head.state_key, raw))

    def _read(self, update: RoomUpdate, part: str, index: int, data: bytes) -> EventHead | None:
        """An event's head; None when it is malformed, which is reported."""
        try:
            return read_timeline_event(data) if part == "timeline" else read_event(data)
        except MalformedEventError as error:
            room = update.room
            self._log(f"{room.room_id}: event {index} of its {part} was left out: {error}")
            # Whatever is wrong with it, it may mean that others encrypt: nothing in clear then.
            if ENCRYPTION.encode() in data:
                room.is_encrypted = True
            return None

    def _take_account_data(self, room_id: str, events: list[Raw]) -> None:
        for index, raw in enumerate(events):
            data = bytes(raw)
            try:
                read_event(data)
            except MalformedEventError as error:
                where = room_id or "the account"
                self._log(f"{where}: account data {index} was left out: {error}")
                continue
            account = _decode_account(data)
            value = bytes(account.content)
            self.changes.account_data.append((room_id, account.type, value))
            if not room_id:
                self._state.take_account_data(account.type, value)

    def _log(self, message: str) -> None:
        self._malformed_count += 1
        self._client.log.record("warning", "sync", message, "E_MALFORMED_EVENT")

    # -- to the host --------------------------------------------------------------------------

    def _give(self, room_id: str, head: EventHead, data: bytes) -> None:
        """A frame for each subscription that wants the message; one payload for all."""
        message = _decode_message(head.content)
        msgtype = message.msgtype if isinstance(message.msgtype, str) else None
        is_own = head.sender == self._user_id
        payload = b""
        for subscription in self._client.subscriptions.messages.values():
            if not subscription.wants(room_id, head.sender, msgtype, is_own):
                continue
            if not payload:
                event = Event(
                    kind="message",
                    room_id=room_id,
                    event_id=head.event_id,
                    type=head.type,
                    sender=head.sender,
                    origin_server_ts=head.origin_server_ts,
                    body=message.body if isinstance(message.body, str) else None,
                    msgtype=msgtype,
                    is_own=is_own,
                    is_historic=self._is_historic,
                    content=head.content,
                    raw=Raw(data),
                )
                payload = _encode(event)
            block = frame(frames.EVENT, self._client.context, subscription.handle, payload)
            self._block.append(block)
            self._block_bytes += len(block)

    async def _post(self) -> None:
        """Posts what has gathered, gives others a turn, and waits while the queue is full."""
        if self._block:
            self.has_posted = True
            is_full = self._client.host.outbox.post_events(self._block)
            self._block.clear()
            self._block_bytes = 0
            if is_full:
                await self._client.owner.has_room()
        if self._until_turn <= 0:
            self._until_turn = _TURN
            await asyncio.sleep(0)
        if self._client.session is not self._session:
            raise NotLoggedInError
