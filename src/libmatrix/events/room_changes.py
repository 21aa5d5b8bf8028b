"""Payloads about rooms as a whole: what changed, and invitations."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from libmatrix.events.head import EventHead
from libmatrix.rooms.room import Member, member_of
from libmatrix.sync.post import Post
from libmatrix.sync.subscriptions import Subscription
from libmatrix.table_gen import Room, RoomChange, RoomInvite

_NAMES = tuple(name for name in Room.__struct_fields__ if name != "room_id")

_encode = msgspec.json.Encoder().encode


def announce_change(
    post: Post, wishes: list[Subscription], before: Room | None, after: Room
) -> None:
    """Tells which fields of a room differ; nothing when none does."""
    changed = [name for name in _NAMES if _value(before, name) != _value(after, name)]
    wanted = [wish for wish in wishes if wish.matches(after.room_id)]
    if changed and wanted:
        change = RoomChange(kind="room", room_id=after.room_id, changed=changed, room=after)
        post.give(wanted, change)


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
