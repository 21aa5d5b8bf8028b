"""Payloads about rooms as a whole: what changed, and invitations."""

from __future__ import annotations

from collections.abc import Container
from copy import copy
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.events.head import EventHead
from libmatrix.rooms.room import Member, RoomState, member_of
from libmatrix.sync.post import Post
from libmatrix.sync.subscriptions import Subscription
from libmatrix.table_gen import Room, RoomChange, RoomInvite

if TYPE_CHECKING:
    from libmatrix.client import Client

_NAMES = tuple(name for name in Room.__struct_fields__ if name != "room_id")

_encode = msgspec.json.Encoder().encode


class RoomNews:
    """What one sync makes of rooms, told to who asked for it."""

    def __init__(self, post: Post, client: Client) -> None:
        self._post = post
        self._state = client.state
        self._subscriptions = client.subscriptions
        # As it was before the sync.
        self._direct = client.state.direct

    def before(self, room_id: str) -> RoomState | None:
        """The room as hosts knew it, None when they did not."""
        room = self._state.rooms.get(room_id)
        return None if room is None else copy(room)

    def announce(self, before: RoomState | None, room: RoomState) -> None:
        """Tells which fields of a room differ; nothing when none does."""
        wishes = self._subscriptions.wishes("room")
        if wishes:
            old = None if before is None else before.record(room.room_id in self._direct)
            self._give(wishes, old, room)

    def announce_direct(self, announced: Container[str]) -> None:
        """Tells of rooms that only became direct or ceased to be, those `announced` apart."""
        wishes = self._subscriptions.wishes("room")
        if not wishes:
            return
        for room_id in sorted(self._direct ^ self._state.direct):
            room = self._state.rooms.get(room_id)
            if room is not None and room_id not in announced:
                self._give(wishes, room.record(room_id in self._direct), room)

    def _give(self, wishes: list[Subscription], before: Room | None, room: RoomState) -> None:
        after = room.record(room.room_id in self._state.direct)
        changed = [name for name in _NAMES if _value(before, name) != _value(after, name)]
        wanted = [wish for wish in wishes if wish.matches(after.room_id)]
        if changed and wanted:
            change = RoomChange(kind="room", room_id=after.room_id, changed=changed, room=after)
            self._post.give(wanted, change)


def _value(room: Room | None, name: str) -> Any:
    """A field's value; that of a room that was not known is nothing, as are 0 and false."""
    value = None if room is None else getattr(room, name)
    return bytes(value) if isinstance(value, Raw) else value or None


def announce_invite(
    post: Post,
    wishes: list[Subscription],
    room: Room,
    own: EventHead | None,
    events: list[Raw],
    is_historic: bool,
) -> None:
    """Tells that the user is invited; `own` is the user's own member event."""
    said = member_of(own) if own is not None else Member()
    sender = (own.sender or None) if own is not None else None
    wanted = [wish for wish in wishes if wish.matches(room.room_id, sender=sender)]
    if not wanted:
        return
    invite = RoomInvite(
        kind="invite",
        room_id=room.room_id,
        sender=sender,
        reason=said.reason if isinstance(said.reason, str) else None,
        is_direct=said.is_direct is True,
        is_historic=is_historic,
        room=room,
        state=Raw(_encode(events)),
    )
    post.give(wanted, invite)
