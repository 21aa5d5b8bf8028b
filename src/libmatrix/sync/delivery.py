"""What one sync brings: rooms are brought up to date, events go to who asked for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Raw

from libmatrix.events.head import (
    EventHead,
    MalformedEventError,
    are_alike,
    read_event,
    read_state,
    read_timeline,
)
from libmatrix.events.record import CLEAR, ENCRYPTED, Marks, unlock
from libmatrix.events.room_changes import RoomNews, announce_invite
from libmatrix.messages.thread_ends import followed
from libmatrix.rooms.room import ENCRYPTION, MEMBER, RoomState, RoomUpdate, member_of
from libmatrix.store.state import Changes
from libmatrix.sync.extras import Extras, Malformed
from libmatrix.sync.gaps import fill_gaps
from libmatrix.sync.post import TURN, Post, pieces
from libmatrix.sync.response import JoinedRoom, LeftRoom, SyncResponse, Timeline
from libmatrix.sync.subscriptions import Routes
from libmatrix.table_gen import Membership, SyncOnceResult

if TYPE_CHECKING:
    from libmatrix.client import Client
    from libmatrix.crypto.machine import Crypto

_LIVE, _HISTORIC = Marks(is_historic=False), Marks(is_historic=True)
_ENCRYPTION = ENCRYPTION.encode()
_FILLED = Marks(is_historic=False, is_filled=True)


class Delivery:
    """Handles one response. What is to last is gathered in `changes`."""

    def __init__(
        self,
        client: Client,
        response: SyncResponse,
        crypto: Crypto | None,
        is_historic: bool,
        is_tame: bool,
    ) -> None:
        self._client = client
        self._crypto = crypto
        self._state = client.state
        self._user_id = client.session.user_id or ""
        self._response = response
        # What the bridge said of all of it.
        self._is_tame = is_tame
        # Whether events may belong to a verification, or be sends of ours; looking costs time.
        self.has_verifications = self.has_echoes = False
        self._marks = _HISTORIC if is_historic else _LIVE
        self._since = client.state.next_batch
        self._subscriptions = client.subscriptions
        self._post = Post(client)
        self._malformed = Malformed(client.log)
        self._extras = Extras(
            client.subscriptions, self._post, self._user_id, self._malformed.report, is_tame
        )
        self._news = RoomNews(self._post, client)
        self._threads = followed(client)
        self.changes = Changes()
        self.changes.next_batch = response.next_batch
        client.state.pending = self.changes
        self._has_lost_devices = False
        self._event_count = 0

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
        if self._crypto is not None:
            is_whole = self._since is None or self._has_lost_devices
            shown = await self._crypto.take_sync(response, self.changes, is_whole=is_whole)
            await self._extras.take_to_device(*shown)
        else:
            await self._extras.take_to_device(response.to_device.events, {})
        await self._extras.take_presence(response.presence.events)
        await self._take_account_data(None, response.account_data.events)
        if self._crypto is not None:
            await self._crypto.late.give(self._post, self.changes)
        for room_id, joined in rooms.join.items():
            await self._join(room_id, joined, gaps.pop(room_id, []))
            await self._post.passed(1)
        for room_id, invited in rooms.invite.items():
            self._take_stripped(room_id, "invite", invited.invite_state.events)
            await self._post.passed(1)
        for room_id, knocked in rooms.knock.items():
            self._take_stripped(room_id, "knock", knocked.knock_state.events)
            await self._post.passed(1)
        for room_id, left in rooms.leave.items():
            await self._leave(room_id, left, gaps.pop(room_id, []))
            await self._post.passed(1)
        self._news.announce_direct(self.changes.rooms)
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
            malformed_count=self._malformed.count,
            joined_room_ids=list(rooms.join),
            invited_room_ids=list(rooms.invite),
            left_room_ids=list(rooms.leave),
        )

    def log_summary(self) -> None:
        """One line about what the sync brought."""
        if (log := self._client.log).wants("debug"):
            rooms = len(self.changes.rooms)
            log.record("debug", "sync", f"{self._event_count} timeline events in {rooms} rooms")

    def report_broken(self, place: str) -> None:
        """Says that a part of the response was left out."""
        self._malformed.report(f"sync: {place} is broken and was left out")
        if place.startswith("device_lists"):
            self._has_lost_devices = True

    # -- rooms --------------------------------------------------------------------------------

    async def _join(self, room_id: str, joined: JoinedRoom, missed: list[Raw]) -> None:
        before = self._news.before(room_id)
        was_joined = before is not None and before.membership == "join"
        update = self._update(room_id, "join")
        room = update.room
        update.take_summary(joined.summary)
        if joined.unread_notifications is not None:
            room.notification_count = max(joined.unread_notifications.notification_count, 0)
            room.highlight_count = max(joined.unread_notifications.highlight_count, 0)
        if joined.timeline.limited or not was_joined:
            # Members who came, went or changed meanwhile are told only when they speak.
            self.changes.lost_members.add(room_id)
            self._state.loaded_members.discard(room_id)
        if missed:
            await self._take_missed(update, missed)
        await self._take_room_events(update, joined, is_new=not was_joined)
        await self._extras.take_ephemeral(room_id, joined.ephemeral.events)
        await self._take_account_data(room, joined.account_data.events)
        update.finish()
        self._news.announce(before, room)

    async def _leave(self, room_id: str, left: LeftRoom, missed: list[Raw]) -> None:
        before = self._news.before(room_id)
        update = self._update(room_id, "leave")
        room = update.room
        await self._take_missed(update, missed)
        await self._take_room_events(update, left, is_new=False)
        await self._take_account_data(room, left.account_data.events)
        room.notification_count = room.highlight_count = 0
        if update.own_membership() == "ban":
            update.take_membership("ban")
        update.finish()
        self._news.announce(before, room)
        if before is None and self._since is not None and room.membership == "leave":
            # Forgotten meanwhile, or never known: it does not come back because it was left.
            self._state.drop_room(room_id)

    async def _take_room_events(
        self, update: RoomUpdate, news: JoinedRoom | LeftRoom, *, is_new: bool
    ) -> None:
        timeline = news.timeline
        after = news.early_state_after if news.state_after is None else news.state_after
        # What comes after is the state as it is now; the timeline changes nothing any more.
        events = news.state.events if after is None else after.events
        await self._take_state(update, events, timeline, is_after=after is not None)
        if timeline.prev_batch is not None:
            update.room.prev_batch = timeline.prev_batch
        live_from = self._find_join(timeline) if is_new else 0
        await self._take_timeline(update, timeline.events, live_from, changes=after is None)

    def _take_stripped(self, room_id: str, membership: Membership, events: list[Raw]) -> None:
        """An invite or a knock: what it tells is all there is."""
        before = self._news.before(room_id)
        room = RoomState(room_id=room_id, membership=membership, is_stripped=True)
        room.is_encrypted = self._state.is_encrypted(room_id)
        update = self._keep(room)
        own, sound = None, []
        for index, (raw, head) in enumerate(self._read_state(events)):
            if isinstance(head, MalformedEventError):
                self._left_out(update, "invite state", index, raw, head)
            elif head.state_key is not None:
                update.apply(head)
                sound.append(raw)
                if head.type == MEMBER and head.state_key == self._user_id:
                    own = head
        update.finish()
        if membership == "invite" and (before is None or before.membership != "invite"):
            record = room.record(room_id in self._state.direct)
            wishes = self._subscriptions.wishes("invite")
            announce_invite(self._post, wishes, record, own, sound, self._marks.is_historic)
        self._news.announce(before, room)

    def _update(self, room_id: str, membership: Membership) -> RoomUpdate:
        """The room as it is known, about to be changed."""
        room = self._state.rooms.get(room_id)
        if room is None or (room.is_stripped and membership == "join"):
            # What an invite told is replaced by what the server knows.
            # Once encrypted, for ever: nobody makes that unsaid by an invite or a way back.
            is_encrypted = self._state.is_encrypted(room_id)
            room = RoomState(room_id=room_id, membership=membership, is_encrypted=is_encrypted)
            self.changes.fresh_rooms.add(room_id)
        update = self._keep(room)
        update.take_membership(membership)
        return update

    def _keep(self, room: RoomState) -> RoomUpdate:
        self._state.rooms[room.room_id] = self.changes.rooms[room.room_id] = room
        return RoomUpdate(room, self._user_id, self._state.members, self._state.member)

    # -- events -------------------------------------------------------------------------------

    async def _take_state(
        self, update: RoomUpdate, events: list[Raw], timeline: Timeline, *, is_after: bool
    ) -> None:
        """State beside the timeline; what the timeline has too is given to the host there."""
        if not events:
            return
        heads = read_state(events, self._is_tame)
        # All of it before anything waits: what is not there is what the room does not have.
        for index, (raw, head) in enumerate(zip(events, heads, strict=True)):
            if isinstance(head, MalformedEventError):
                self._left_out(update, "state", index, raw, head)
            else:
                self._apply(update, head, raw)
        if not self._subscriptions.routes.member:
            return
        known = self._state_ids(timeline) if is_after else set()
        # Nor does anything wait while the timeline may say that the room is encrypted.
        waits = len(events) > TURN and not any(_ENCRYPTION in bytes(raw) for raw in timeline.events)
        for index, (raw, head) in enumerate(zip(events, heads, strict=True)):
            if index % TURN == 0:
                if index and waits:
                    await self._post.passed(TURN)
                run = self._post.run(update.room.room_id, self._marks.flags)
                routes = self._subscriptions.routes
            if isinstance(head, EventHead) and head.state_key is not None:
                wishes = routes.of_state(head)
                if wishes and head.event_id not in known:
                    run.give(wishes, head, raw)

    def _read_state(
        self, events: list[Raw]
    ) -> Iterator[tuple[Raw, EventHead | MalformedEventError]]:
        return zip(events, read_state(events, self._is_tame), strict=True)

    async def _take_timeline(
        self, update: RoomUpdate, events: list[Raw], live_from: int, *, changes: bool
    ) -> None:
        for start, raws in pieces(events[:live_from]) if live_from else ():
            self._take_piece(update, start, raws, _HISTORIC, changes=changes)
            await self._post.passed(len(raws))
        for start, raws in pieces(events[live_from:] if live_from else events):
            self._take_piece(update, live_from + start, raws, self._marks, changes=changes)
            await self._post.passed(len(raws))

    async def _take_missed(self, update: RoomUpdate, events: list[Raw]) -> None:
        """Events that filled a gap: only for who asked for them, and no change of the room."""
        for start, raws in pieces(events):
            self._take_piece(update, start, raws, _FILLED, changes=False)
            await self._post.passed(len(raws))

    def _take_piece(
        self, update: RoomUpdate, start: int, raws: list[Raw], marks: Marks, *, changes: bool
    ) -> None:
        """Events of a timeline, or of a gap in it."""
        self._look_over(update.room.room_id, raws, is_filled=marks.is_filled)
        # Asked for each piece: a handler may subscribe while this waits for room.
        wanted = self._subscriptions
        routes = wanted.filler_routes if marks.is_filled else wanted.routes
        run = self._post.run(update.room.room_id, marks.flags)
        heads = read_timeline(raws, self._is_tame and not marks.is_filled)
        # In an encrypted room each event says how it came.
        is_clear = self._crypto is None or not update.room.is_encrypted
        catch_all = routes.catch_all if is_clear else None
        if catch_all is not None and are_alike(heads, self._client.decrypt and ENCRYPTED):
            if not marks.is_filled:
                self._event_count += len(heads)
                update.room.last_event_id = heads[-1].event_id
            run.give_all(catch_all, raws)
            return
        for index, (raw, head) in enumerate(zip(raws, heads, strict=True), start):
            if isinstance(head, MalformedEventError):
                self._left_out(update, "gap" if marks.is_filled else "timeline", index, raw, head)
                continue
            if not marks.is_filled:
                self._event_count += 1
                update.room.last_event_id = head.event_id
            if head.state_key is None:
                is_marked = head.type == ENCRYPTED or not (is_clear or head.type in CLEAR)
                if is_marked and self._give_marked(routes, update, raw, marks):
                    run = self._post.run(update.room.room_id, marks.flags)
                    continue
                wishes = routes.by_type.get(head.type, routes.any)
            else:
                if changes:
                    self._apply(update, read_event(bytes(raw), True), raw)
                wishes = routes.of_timeline(head)
            if wishes:
                run.give(wishes, head, raw)

    def _look_over(self, room_id: str, raws: list[Raw], *, is_filled: bool) -> None:
        """Shows events to those who look for their own among them."""
        if self._crypto is not None:
            self._crypto.late.look_for_redactions(room_id, raws)
            if self.has_verifications:
                self._crypto.verifications.take_clear(room_id, raws)
        if self._threads is not None:
            self._threads.see(room_id, raws)
        if (self.has_echoes or is_filled) and self._client.doubts:
            self._client.doubts.take(room_id, raws)

    def _give_marked(self, routes: Routes, update: RoomUpdate, raw: Raw, marks: Marks) -> bool:
        """Gives what an encrypted event says in its place, or one in clear that should not be.

        False when nothing is to be said of its encryption.
        """
        room_id = update.room.room_id
        came = read_event(bytes(raw), True)
        head, encryption = unlock(self._client.decrypt, room_id, came, raw, is_clear=False)
        if came.type == ENCRYPTED and self._crypto is not None:
            self._crypto.take_room_event(room_id, self._crypto.decryptor.hidden or head)
        if encryption is None:
            return False
        wishes = routes.by_type.get(head.type, routes.any)
        self._post.give_clear(wishes, room_id, head, raw, marks, encryption)
        return True

    def _apply(self, update: RoomUpdate, head: EventHead, raw: Raw) -> None:
        if head.state_key is not None:
            update.apply(head)
            states = self.changes.states.setdefault(update.room.room_id, {})
            states[head.type, head.state_key] = raw

    def _left_out(
        self, update: RoomUpdate, part: str, index: int, raw: Raw, error: MalformedEventError
    ) -> None:
        room = update.room
        self._malformed.report(f"{room.room_id}: event {index} of its {part} was left out: {error}")
        # Whatever is wrong with it, it may mean that others encrypt: nothing in clear then.
        if _ENCRYPTION in bytes(raw):
            room.is_encrypted = True

    def _state_ids(self, timeline: Timeline) -> set[str]:
        """The state events that the timeline will give to the host."""
        if not self._subscriptions.routes.member:
            return set()
        heads = read_timeline(timeline.events, self._is_tame)
        return {
            head.event_id
            for head in heads
            if not isinstance(head, MalformedEventError) and head.state_key is not None
        }

    def _find_join(self, timeline: Timeline) -> int:
        """Where the user's own join is: what was before it in a room that is new is history."""
        if self._marks.is_historic:
            return 0
        for index, (_, head) in enumerate(self._read_state(timeline.events)):
            if isinstance(head, MalformedEventError) or head.state_key != self._user_id:
                continue
            if head.type == MEMBER and member_of(head).membership == "join":
                return index
        return 0

    async def _take_account_data(self, room: RoomState | None, events: list[Raw]) -> None:
        if not events:
            return
        room_id = room.room_id if room is not None else ""
        for head in self._extras.take_account_data(room, events):
            value = bytes(head.content)
            self.changes.account_data.setdefault(room_id, {})[head.type] = value
            if room is None:
                self._state.take_account_data(head.type, value)
            await self._post.passed(1)
