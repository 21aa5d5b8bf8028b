"""What is known of a room, and how events change it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Raw

from libmatrix.errors import BROKEN_JSON
from libmatrix.events.head import EventHead, MalformedEventError, content, read_content
from libmatrix.rooms.names import make_name
from libmatrix.sync.response import Summary
from libmatrix.table_gen import Membership, Room

ENCRYPTION = "m.room.encryption"
MEMBER = "m.room.member"
_MOST_TEXT = 100_000

_encode = msgspec.json.Encoder().encode


class RoomState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One room as it is kept; in the store it is JSON, so fields may be added with a default."""

    room_id: str
    membership: Membership = "join"
    name: str | None = None
    canonical_alias: str | None = None
    topic: str | None = None
    avatar_url: str | None = None
    # What to show, by the naming rules.
    shown_name: str = ""
    heroes: list[str] | None = None
    # By the server's summary; counted where it gives none.
    joined_count: int | None = None
    invited_count: int | None = None
    counted_joined: int = 0
    counted_invited: int = 0
    notification_count: int = 0
    highlight_count: int = 0
    is_encrypted: bool = False
    tags: dict[str, dict[str, Any]] | None = None
    is_marked_unread: bool = False
    version: str | None = None
    room_type: str | None = None
    creators: list[str] = []
    predecessor: str | None = None
    successor: str | None = None
    join_rule: str | None = None
    history_visibility: str | None = None
    guest_access: str | None = None
    # Where what was before the last sync's timeline begins, and its last event.
    prev_batch: str | None = None
    last_event_id: str | None = None
    # Who made the user what the user is to the room, and why.
    membership_sender: str | None = None
    membership_reason: str | None = None
    # Invited to a direct chat.
    is_direct_invite: bool = False
    # Known from the stripped state of an invite or knock only, which nobody vouches for.
    is_stripped: bool = False

    @property
    def joined(self) -> int:
        """Members who joined."""
        return self.counted_joined if self.joined_count is None else self.joined_count

    @property
    def invited(self) -> int:
        """Members who are invited."""
        return self.counted_invited if self.invited_count is None else self.invited_count

    def record(self, is_direct: bool) -> Room:
        """The room as hosts get it."""
        tags = Raw(_encode(self.tags)) if self.tags else None
        joined = self.counted_joined if self.joined_count is None else self.joined_count
        invited = self.counted_invited if self.invited_count is None else self.invited_count
        # By position, which is quicker by far.
        return Room(
            self.room_id,
            self.shown_name,
            self.membership,
            joined,
            invited,
            self.notification_count,
            self.highlight_count,
            is_direct,
            self.is_encrypted,
            self.is_marked_unread,
            self.canonical_alias,
            self.topic,
            self.avatar_url,
            tags,
            self.version,
            self.room_type,
            self.predecessor,
            self.successor,
        )


class Member(msgspec.Struct, gc=False):
    """The content of a member event; fields of the wrong type count as absent."""

    membership: Any = None
    displayname: Any = None
    avatar_url: Any = None
    reason: Any = None
    is_direct: Any = None

    @property
    def name(self) -> str | None:
        """The display name, None when there is none to show."""
        name = self.displayname
        return name if isinstance(name, str) and name.strip() else None


class _Unsigned(msgspec.Struct, gc=False):
    prev_content: Member = msgspec.field(default_factory=Member)


def member_of(event: EventHead) -> Member:
    """What a member event says. Who left is called what they were called before."""
    member: Member = content(event.content, Member)
    if member.name is None and member.membership in ("leave", "ban") and event.unsigned:
        member.displayname = content(event.unsigned, _Unsigned).prev_content.displayname
    return member


class _Text(msgspec.Struct, gc=False):
    name: Any = None
    alias: Any = None
    url: Any = None
    topic: Any = None
    replacement_room: Any = None
    join_rule: Any = None
    history_visibility: Any = None
    guest_access: Any = None


class _Predecessor(msgspec.Struct, gc=False):
    room_id: Any = None


class _Create(msgspec.Struct, gc=False):
    room_version: Any = None
    type: Any = None
    predecessor: _Predecessor | None = None
    additional_creators: Any = None
    creator: Any = None


_EARLY_VERSIONS = frozenset(str(number) for number in range(1, 11))


class _TextPart(msgspec.Struct, gc=False):
    body: str
    mimetype: str = "text/plain"


class _TopicBlock(msgspec.Struct, gc=False):
    parts: list[_TextPart] = msgspec.field(default_factory=list, name="m.text")


class _Topic(msgspec.Struct, gc=False):
    block: _TopicBlock | None = msgspec.field(default=None, name="m.topic")


class _Tags(msgspec.Struct, gc=False):
    tags: dict[str, Raw] = {}


def decode_tags(data: Raw | bytes) -> dict[str, dict[str, Any]]:
    """The tags in the content of m.tag; those that are not what they should be are passed over."""
    found: dict[str, dict[str, Any]] = {}
    try:
        for name, raw in msgspec.json.decode(data, type=_Tags).tags.items():
            with suppress(MalformedEventError):
                found[name] = msgspec.json.decode(read_content(raw))
    except BROKEN_JSON:
        return {}
    return found


class RoomUpdate:
    """One sync's changes to one room. `stored_members` and `stored_member` read the store."""

    def __init__(
        self,
        room: RoomState,
        user_id: str,
        stored_members: Callable[[str], dict[str, Member]],
        stored_member: Callable[[str, str], Member | None],
    ) -> None:
        self.room = room
        self._user_id = user_id
        self._stored_members = stored_members
        self._stored_member = stored_member
        # Read only when somebody asks: most rooms have a name, and the server counts.
        self._member_events: dict[str, EventHead] = {}
        self._needs_name = not room.shown_name

    def apply(self, event: EventHead) -> None:
        """Takes a state event, in order."""
        if event.type == MEMBER and event.state_key is not None:
            self._member_events[event.state_key] = event
            self._needs_name = True
            if event.state_key == self._user_id:
                member = member_of(event)
                self.room.membership_sender = event.sender or None
                self.room.membership_reason = _text(member.reason)
                is_invite = member.membership == "invite"
                self.room.is_direct_invite = is_invite and member.is_direct is True
        elif event.state_key == "":
            change = _CHANGES.get(event.type)
            if change is not None:
                change(self.room, event)
                self._needs_name = True

    def take_summary(self, summary: Summary | None) -> None:
        """Takes what the server says about the members."""
        if summary is None:
            return
        room = self.room
        before = room.heroes, room.joined_count, room.invited_count
        if summary.heroes is not None:
            room.heroes = summary.heroes
        if summary.joined is not None:
            room.joined_count = max(summary.joined, 0)
        if summary.invited is not None:
            room.invited_count = max(summary.invited, 0)
        if before != (room.heroes, room.joined_count, room.invited_count):
            self._needs_name = True

    def take_membership(self, membership: Membership) -> None:
        """Takes what the user is to the room now."""
        if self.room.membership != membership:
            self.room.membership = membership
            self._needs_name = True

    def own_membership(self) -> Any:
        """What this sync's events say of the user's own membership, if anything."""
        own = self._member_events.get(self._user_id)
        return member_of(own).membership if own else None

    def finish(self) -> None:
        """Counts and names the room when all is applied."""
        room = self.room
        if self._member_events and room.joined_count is None:
            states = [member.membership for member in self._known().values()]
            room.counted_joined = states.count("join")
            room.counted_invited = states.count("invite")
        if self._needs_name:
            heroes: list[tuple[str, str | None]] = []
            if not room.name and not room.canonical_alias:
                chosen = self._choose_heroes() if room.heroes is None else room.heroes
                heroes = [(user, self._name_of(user)) for user in chosen]
            others = room.joined + room.invited - (room.membership in ("join", "invite"))
            room.shown_name = make_name(room.name, room.canonical_alias, heroes, others)

    def _known(self) -> dict[str, Member]:
        """All members that are known; what an invite tells stands alone."""
        members = {user: member_of(event) for user, event in self._member_events.items()}
        if self.room.is_stripped:
            return members
        return self._stored_members(self.room.room_id) | members

    def _choose_heroes(self) -> list[str]:
        """The first others by user id who are here, else those who were."""
        known = self._known()
        others = sorted(user for user in known if user != self._user_id)
        here = [user for user in others if known[user].membership in ("join", "invite")]
        were = [user for user in others if known[user].membership in ("leave", "ban")]
        return (here or were)[:5]

    def _name_of(self, user_id: str) -> str | None:
        event = self._member_events.get(user_id)
        if event is not None:
            return member_of(event).name
        if self.room.is_stripped:
            return None
        member = self._stored_member(self.room.room_id, user_id)
        return member.name if member else None


def _text(value: object) -> str | None:
    """A text that is worth showing."""
    return value[:_MOST_TEXT] if isinstance(value, str) and value.strip() else None


def _set_name(room: RoomState, event: EventHead) -> None:
    room.name = _text(content(event.content, _Text).name)


def _set_alias(room: RoomState, event: EventHead) -> None:
    room.canonical_alias = _text(content(event.content, _Text).alias)


def _set_avatar(room: RoomState, event: EventHead) -> None:
    room.avatar_url = _text(content(event.content, _Text).url)


def _set_topic(room: RoomState, event: EventHead) -> None:
    """The plain text of m.topic where there is one, else the older field."""
    block = content(event.content, _Topic).block
    plain = [part.body for part in block.parts if part.mimetype == "text/plain"] if block else []
    room.topic = _text(plain[0] if plain else content(event.content, _Text).topic)


def take_create(room: RoomState, event: EventHead) -> None:
    """What the room is; without a version it is of version 1."""
    said = content(event.content, _Create)
    room.version = said.room_version if isinstance(said.room_version, str) else "1"
    room.room_type = _text(said.type)
    room.predecessor = _text(said.predecessor.room_id) if said.predecessor else None
    room.creators = creators_of(room.version, event.sender, said.additional_creators, said.creator)


def creators_of(version: str, sender: str, additional: Any, early: Any) -> list[str]:
    """Who created a room: the sender, since version 12 others too; before 11 a field named one."""
    if not has_creator_power(version):
        named = early if isinstance(early, str) and version in _EARLY_VERSIONS else sender
        return [named] if named else []
    more = additional if isinstance(additional, list) else []
    users = [sender, *(user for user in more if isinstance(user, str))]
    return list(dict.fromkeys(user for user in users if user))


def has_creator_power(version: str | None) -> bool:
    """Whether creators stand above all power levels: from room version 12 on."""
    if version is None:
        return False
    return version.startswith("org.matrix.hydra") or (version.isdecimal() and int(version) >= 12)


def _set_successor(room: RoomState, event: EventHead) -> None:
    room.successor = _text(content(event.content, _Text).replacement_room)


def _set_join_rule(room: RoomState, event: EventHead) -> None:
    room.join_rule = _text(content(event.content, _Text).join_rule)


def _set_history(room: RoomState, event: EventHead) -> None:
    room.history_visibility = _text(content(event.content, _Text).history_visibility)


def _set_guests(room: RoomState, event: EventHead) -> None:
    room.guest_access = _text(content(event.content, _Text).guest_access)


def _set_encrypted(room: RoomState, event: EventHead) -> None:
    """Never taken back, whatever the content: nothing may leave in clear by a trick."""
    room.is_encrypted = True


_CHANGES: dict[str, Callable[[RoomState, EventHead], None]] = {
    "m.room.name": _set_name,
    "m.room.canonical_alias": _set_alias,
    "m.room.avatar": _set_avatar,
    "m.room.topic": _set_topic,
    ENCRYPTION: _set_encrypted,
    "m.room.create": take_create,
    "m.room.tombstone": _set_successor,
    "m.room.join_rules": _set_join_rule,
    "m.room.history_visibility": _set_history,
    "m.room.guest_access": _set_guests,
}
# What a store of an older schema has kept only as events.
SHAPING = tuple(_CHANGES)
