"""What one sync brings: rooms are brought up to date, events go to who asked for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Raw

from libmatrix.events import (
    EventHead,
    MalformedEventError,
    read_event,
    read_timeline_event,
)
from libmatrix.gaps import fill_gaps
from libmatrix.room_changes import announce_change, announce_invite
from libmatrix.room_events import ENCRYPTED, Marks, give_event, unlock
from libmatrix.rooms import ENCRYPTION, MEMBER, RoomState, RoomUpdate, member_of
from libmatrix.state import Changes
from libmatrix.sync_extras import Extras
from libmatrix.sync_post import BLOCK_BYTES, TURN, Post
from libmatrix.sync_response import JoinedRoom, LeftRoom, SyncResponse, Timeline
from libmatrix.table_gen import Membership, Room, SyncOnceResult

if TYPE_CHECKING:
    from libmatrix.client import Client
    from libmatrix.crypto.machine import Crypto

_LIVE, _HISTORIC = Marks(is_historic=False), Marks(is_historic=True)
_FILLED = Marks(is_historic=False, is_filled=True)


class Delivery:
    """Handles one response. What is to last is gathered in `changes`."""

    def __init__(
        self, client: Client, response: SyncResponse, crypto: Crypto | None, *, is_historic: bool
    ) -> None:
        self._client = client
        self._crypto = crypto
        self._state = client.state
        self._user_id = client.session.user_id or ""
        self._response = response
        self._marks = _HISTORIC if is_historic else _LIVE
        self._since = client.state.next_batch
        self._subscriptions = client.subscriptions
        self._post = Post(client)
        self._extras = Extras(client.subscriptions, self._post, self._user_id, self._log)
        self._direct = client.state.direct
        self.changes = Changes()
        self.changes.next_batch = response.next_batch
        client.state.pending = self.changes
        self._event_count = 0
        self._malformed_count = 0

    @property
    def has_posted(self) -> bool:
        """Whether the host was given anything that it must consume."""
        return self._post.has_posted

    @has_posted.setter
    def has_posted(self, value: bool) -> None:
        self._post.has_posted = value

    async def run(self) -> None:
        """Handles everything; waits while the host's queue is full."""
        response, rooms = self._response, self._response.rooms
        gaps = await fill_gaps(self._client, response, self._since)
        to_device = response.to_device.events
        if self._crypto is not None:
            to_device = await self._crypto.take_sync(response, self.changes)
        self._extras.take_to_device(to_device)
        self._extras.take_presence(response.presence.events)
        self._take_account_data(None, response.account_data.events)
        if self._crypto is not None:
            await self._crypto.late.give(self._post, self.changes)
        for room_id, joined in rooms.join.items():
            await self._join(room_id, joined, gaps.pop(room_id, []))
        for room_id, invited in rooms.invite.items():
            self._take_stripped(room_id, "invite", invited.invite_state.events)
        for room_id, knocked in rooms.knock.items():
            self._take_stripped(room_id, "knock", knocked.knock_state.events)
        for room_id, left in rooms.leave.items():
            await self._leave(room_id, left)
        self._announce_direct()
        await self._post.flush()

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

    async def _join(self, room_id: str, joined: JoinedRoom, missed: list[Raw]) -> None:
        before = self._before(room_id)
        was_joined = before is not None and before.membership == "join"
        update = self._update(room_id, "join")
        room = update.room
        update.take_summary(joined.summary)
        if joined.unread_notifications is not None:
            room.notification_count = max(joined.unread_notifications.notification_count, 0)
            room.highlight_count = max(joined.unread_notifications.highlight_count, 0)
        if joined.timeline.limited:
            # Members who came, went or changed meanwhile are told only when they speak.
            self.changes.lost_members.add(room_id)
            self._state.loaded_members.discard(room_id)
        for raw in missed:
            await self._take_missed(update, raw)
        await self._take_room_events(update, joined, is_new=not was_joined)
        self._extras.take_ephemeral(room_id, joined.ephemeral.events)
        self._take_account_data(room, joined.account_data.events)
        update.finish()
        self._announce(before, room)

    async def _leave(self, room_id: str, left: LeftRoom) -> None:
        before = self._before(room_id)
        update = self._update(room_id, "leave")
        room = update.room
        await self._take_room_events(update, left, is_new=False)
        self._take_account_data(room, left.account_data.events)
        room.notification_count = room.highlight_count = 0
        if update.own_membership() == "ban":
            update.take_membership("ban")
        update.finish()
        self._announce(before, room)

    async def _take_room_events(
        self, update: RoomUpdate, news: JoinedRoom | LeftRoom, *, is_new: bool
    ) -> None:
        timeline = news.timeline
        after = news.early_state_after if news.state_after is None else news.state_after
        if after is None:
            self._take_state(update, news.state.events, set())
        else:
            # It is the state as it is now; the timeline changes nothing any more.
            self._take_state(update, after.events, self._state_ids(timeline))
        if timeline.prev_batch is not None:
            update.room.prev_batch = timeline.prev_batch
        live_from = self._find_join(timeline) if is_new else 0
        await self._take_timeline(update, timeline.events, live_from, changes=after is None)

    def _take_stripped(self, room_id: str, membership: Membership, events: list[Raw]) -> None:
        """An invite or a knock: what it tells is all there is."""
        before = self._before(room_id)
        room = RoomState(room_id=room_id, membership=membership, is_stripped=True)
        update = self._keep(room)
        own, sound = None, []
        for index, raw in enumerate(events):
            head = self._read(update, "invite state", index, bytes(raw))
            if head is not None and head.state_key is not None:
                update.apply(head)
                sound.append(raw)
                if head.type == MEMBER and head.state_key == self._user_id:
                    own = head
        update.finish()
        if membership == "invite" and (before is None or before.membership != "invite"):
            record = room.record(room_id in self._state.direct)
            wishes = self._subscriptions.wishes("invite")
            announce_invite(self._post, wishes, record, own, sound, self._marks.is_historic)
        self._announce(before, room)

    def _update(self, room_id: str, membership: Membership) -> RoomUpdate:
        """The room as it is known, about to be changed."""
        room = self._state.rooms.get(room_id)
        if room is None or (room.is_stripped and membership == "join"):
            # What an invite told is replaced by what the server knows.
            room = RoomState(room_id=room_id, membership=membership)
            self.changes.fresh_rooms.add(room_id)
        update = self._keep(room)
        update.take_membership(membership)
        return update

    def _keep(self, room: RoomState) -> RoomUpdate:
        self._state.rooms[room.room_id] = self.changes.rooms[room.room_id] = room
        return RoomUpdate(room, self._user_id, self._state.members, self._state.member)

    # -- events -------------------------------------------------------------------------------

    def _take_state(self, update: RoomUpdate, events: list[Raw], known: set[str]) -> None:
        """State beside the timeline; those in `known` are given to the host with the timeline."""
        room_id = update.room.room_id
        for index, raw in enumerate(events):
            data = bytes(raw)
            head = self._read(update, "state", index, data)
            if head is None or head.state_key is None:
                continue
            self._apply(update, head, raw)
            wishes = self._subscriptions.routes.of_state(head)
            if wishes and head.event_id not in known:
                is_own = head.sender == self._user_id
                give_event(wishes, room_id, head, raw, is_own, self._marks, self._post)

    async def _take_timeline(
        self, update: RoomUpdate, events: list[Raw], live_from: int, *, changes: bool
    ) -> None:
        subscriptions, post, user_id = self._subscriptions, self._post, self._user_id
        is_tame = self._response.is_tame
        room_id, marks, last_id = update.room.room_id, self._marks, update.room.last_event_id
        for index, raw in enumerate(events):
            data = bytes(raw)
            try:
                head = read_timeline_event(data, is_tame)
            except MalformedEventError as error:
                self._left_out(update, "timeline", index, data, error)
                continue
            self._event_count += 1
            last_id = head.event_id
            encryption = None
            if head.type == ENCRYPTED:
                head, encryption = unlock(self._client.decrypt, room_id, head, raw)
            # Asked each time: a handler may subscribe while this waits for room.
            routes = subscriptions.routes
            if head.state_key is not None:
                if changes:
                    self._apply(update, head, raw)
                wishes = routes.of_timeline(head)
            else:
                wishes = routes.by_type.get(head.type, routes.any)
            if wishes:
                how = marks if index >= live_from else _HISTORIC
                is_own = head.sender == user_id
                give_event(wishes, room_id, head, raw, is_own, how, post, encryption)
            if post.size >= BLOCK_BYTES or not (index + 1) % TURN:
                await post.passed(TURN)
        update.room.last_event_id = last_id
        await post.passed(len(events) % TURN)

    async def _take_missed(self, update: RoomUpdate, raw: Raw) -> None:
        """An event that filled a gap: only for who asked for it, and no change of the room."""
        data = bytes(raw)
        try:
            head = read_timeline_event(data)
        except MalformedEventError as error:
            self._left_out(update, "gap", 0, data, error)
            return
        room_id = update.room.room_id
        head, encryption = unlock(self._client.decrypt, room_id, head, raw)
        wishes = self._subscriptions.filler_routes.of_timeline(head)
        if wishes:
            is_own = head.sender == self._user_id
            give_event(wishes, room_id, head, raw, is_own, _FILLED, self._post, encryption)
        await self._post.passed(1)

    def _apply(self, update: RoomUpdate, head: EventHead, raw: Raw) -> None:
        if head.state_key is not None:
            update.apply(head)
            states = self.changes.states.setdefault(update.room.room_id, {})
            states[head.type, head.state_key] = raw

    def _read(self, update: RoomUpdate, part: str, index: int, data: bytes) -> EventHead | None:
        """An event's head; None when it is malformed, which is reported."""
        try:
            return read_event(data, self._response.is_tame)
        except MalformedEventError as error:
            self._left_out(update, part, index, data, error)
            return None

    def _left_out(
        self, update: RoomUpdate, part: str, index: int, data: bytes, error: MalformedEventError
    ) -> None:
        room = update.room
        self._log(f"{room.room_id}: event {index} of its {part} was left out: {error}")
        # Whatever is wrong with it, it may mean that others encrypt: nothing in clear then.
        if ENCRYPTION.encode() in data:
            room.is_encrypted = True

    def _state_ids(self, timeline: Timeline) -> set[str]:
        """The state events that the timeline will give to the host."""
        if not self._subscriptions.routes.member:
            return set()
        return {head.event_id for head in _heads(timeline) if head and head.state_key is not None}

    def _find_join(self, timeline: Timeline) -> int:
        """Where the user's own join is: what was before it in a room that is new is history."""
        if self._marks.is_historic:
            return 0
        for index, head in enumerate(_heads(timeline)):
            is_own = head is not None and head.state_key == self._user_id
            if head and is_own and head.type == MEMBER and member_of(head).membership == "join":
                return index
        return 0

    def _take_account_data(self, room: RoomState | None, events: list[Raw]) -> None:
        room_id = room.room_id if room is not None else ""
        for head in self._extras.take_account_data(room, events):
            value = bytes(head.content)
            self.changes.account_data[room_id, head.type] = value
            if room is None:
                self._state.take_account_data(head.type, value)

    # -- what became of rooms -----------------------------------------------------------------

    def _before(self, room_id: str) -> Room | None:
        """The room as hosts knew it."""
        room = self._state.rooms.get(room_id)
        return None if room is None else room.record(room_id in self._direct)

    def _announce(self, before: Room | None, room: RoomState) -> None:
        wishes = self._subscriptions.wishes("room")
        if wishes:
            announce_change(self._post, wishes, before, room.record(self._is_direct(room)))

    def _announce_direct(self) -> None:
        """Rooms that only became direct, or ceased to be."""
        wishes = self._subscriptions.wishes("room")
        if not wishes:
            return
        for room_id in sorted(self._direct ^ self._state.direct):
            room = self._state.rooms.get(room_id)
            if room is not None and room_id not in self.changes.rooms:
                before = room.record(room_id in self._direct)
                announce_change(self._post, wishes, before, room.record(self._is_direct(room)))

    def _is_direct(self, room: RoomState) -> bool:
        return room.room_id in self._state.direct

    def _log(self, message: str) -> None:
        self._malformed_count += 1
        self._client.log.record("warning", "sync", message, "E_MALFORMED_EVENT")


def _heads(timeline: Timeline) -> list[EventHead | None]:
    """The events' heads, None for those that are malformed."""
    heads: list[EventHead | None] = []
    for raw in timeline.events:
        try:
            heads.append(read_event(bytes(raw)))
        except MalformedEventError:
            heads.append(None)
    return heads
