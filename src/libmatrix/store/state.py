"""What a client knows of its rooms and account, in memory and in its store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from libmatrix.auth.session import Session
from libmatrix.errors import BROKEN_JSON, StoreError
from libmatrix.events.head import EventHead
from libmatrix.rooms.room import (
    MEMBER,
    SHAPING,
    Member,
    RoomState,
    RoomUpdate,
    decode_tags,
    member_of,
)
from libmatrix.store.file import Store, Writer
from libmatrix.store.files import StoreFiles
from libmatrix.store.seal import Vault

_SESSION = "session"
_NEXT_BATCH = "next_batch"
_IS_PARTIAL = "is_partial"
_IS_OUTDATED = "is_outdated"
_FILTERS = "filters"
_DIRECT = "m.direct"
# The table of rooms that are encrypted, and how.
_ENCRYPTED = "encrypted_room"
_MOST_FILTERS = 8

_encode = msgspec.json.Encoder().encode
_decode_room = msgspec.json.Decoder(RoomState).decode
_decode_head = msgspec.json.Decoder(EventHead).decode


class Changes:
    """What one sync changes; committed together with its token, or not at all."""

    def __init__(self) -> None:
        self.next_batch = ""
        self.is_partial: bool | None = None
        self.rooms: dict[str, RoomState] = {}
        # What was kept of their state does not count any more.
        self.fresh_rooms: set[str] = set()
        # Of these members may be missing from now on.
        self.lost_members: set[str] = set()
        # Events by room, then by type and state key.
        self.states: dict[str, dict[tuple[str, str], Raw]] = {}
        # Contents by room, "" for none, then by type.
        self.account_data: dict[str, dict[str, bytes]] = {}
        # Called when the sync is about to become lasting.
        self.before_commit: list[Callable[[], None]] = []

    def are_none(self, next_batch: str | None) -> bool:
        """Whether all is as it was at this token; so a client that waits leaves its disk alone."""
        kept = (self.rooms, self.fresh_rooms, self.lost_members, self.states, self.account_data)
        return self.next_batch == next_batch and self.is_partial is None and not any(kept)


class Rider(Protocol):
    """Who has something to write with each sync's token, in the same transaction."""

    @property
    def is_waiting(self) -> bool:
        """Whether there is anything to write."""

    def write(self, writer: Writer, /) -> None:
        """Writes what is waiting."""

    def written(self) -> None:
        """The transaction has succeeded."""


class State:
    """Rooms and account of a client. The rooms may be ahead of the store by one sync."""

    def __init__(
        self, folder: str | None, vault: Vault | None = None, files: StoreFiles | None = None
    ) -> None:
        self._store = Store(folder, files)
        self._vault = vault or Vault(None)
        self.session = Session()
        self.next_batch: str | None = None
        self.is_partial = False
        # A sync has come since it was opened: what it knows is not from long ago.
        self.is_current = False
        self.rooms: dict[str, RoomState] = {}
        self.direct: frozenset[str] = frozenset()
        self.loaded_members: set[str] = set()
        # Of filters that the homeserver keeps, by their text.
        self.filter_ids: dict[str, str] = {}
        # What the last sync changes, until that is in the store.
        self.pending: Changes | None = None
        # The rooms are ahead of the store by a sync that is not to be.
        self.is_stale = False
        self.riders: list[Rider] = []
        # Told what each sync has changed, once that is in the store.
        self._watchers: list[Callable[[Changes], None]] = []
        # Rooms that the store did not have as encrypted, as of so many changes of it.
        self._never_encrypted: dict[str, int] = {}
        try:
            self.load()
        except BaseException:
            self._store.close()
            raise

    @property
    def disk(self) -> Store:
        """The store itself, for who keeps tables of its own there."""
        return self._store

    def load(self) -> None:
        """Takes everything from the store. Raises `StoreError`."""
        try:
            self._load(self._store)
        except BROKEN_JSON as error:
            raise StoreError(f"the store holds what libmatrix did not write: {error}") from None
        self.is_stale = False

    def _load(self, store: Store) -> None:
        self.session = self._vault.open(store.meta(_SESSION))
        token = store.meta(_NEXT_BATCH)
        self.next_batch = token.decode() if token else None
        self.is_partial = store.meta(_IS_PARTIAL) is not None
        self.pending = None
        rooms = [_decode_room(data) for data in store.rooms()]
        self.rooms = {room.room_id: room for room in rooms}
        self.loaded_members = store.rooms_with_all_members()
        filters = store.meta(_FILTERS)
        self.filter_ids = msgspec.json.decode(filters, type=dict[str, str]) if filters else {}
        direct = store.account_data("", _DIRECT)
        self.direct = direct_rooms(direct) if direct else frozenset()
        if store.meta(_IS_OUTDATED):
            self._renew(store)

    def _renew(self, store: Store) -> None:
        """Rooms of an older schema are given what their events say."""
        for room in self.rooms.values():
            if not room.is_stripped:
                update = RoomUpdate(room, self.session.user_id or "", self.members, self.member)
                for kind in SHAPING:
                    event = store.state(room.room_id, kind, "")
                    if event is not None:
                        update.apply(_decode_head(event))
            tags = store.account_data(room.room_id, "m.tag")
            room.tags = decode_tags(tags) if tags else None
        with store.transaction() as writer:
            writer.rooms((room.room_id, _encode(room)) for room in self.rooms.values())
            writer.meta(_IS_OUTDATED, None)

    def keep_session(self, session: Session) -> None:
        """Keeps who is logged in."""
        self.session = session
        self._store.put_meta(_SESSION, self._vault.close(session))

    def keep_filter(self, text: str, filter_id: str) -> None:
        """Keeps which id the homeserver gave a filter."""
        # Whoever makes up a filter each time does not fill the store.
        recent = list(self.filter_ids.items())[1 - _MOST_FILTERS :]
        self._keep_filters({**dict(recent), text: filter_id})

    def forget_filter(self, text: str) -> bool:
        """Forgets the id of a filter; whether there was one."""
        if text not in self.filter_ids:
            return False
        self._keep_filters({key: kept for key, kept in self.filter_ids.items() if key != text})
        return True

    def _keep_filters(self, filter_ids: dict[str, str]) -> None:
        self._store.put_meta(_FILTERS, _encode(filter_ids))
        self.filter_ids = filter_ids

    def commit(self, changes: Changes) -> None:
        """Makes a sync's changes lasting."""
        for prepare in changes.before_commit:
            prepare()
        is_idle = not any(rider.is_waiting for rider in self.riders)
        if is_idle and changes.are_none(self.next_batch):
            self.pending = None
            self.is_current = True
            return
        with self._store.transaction() as writer:
            writer.forget_state(changes.fresh_rooms)
            writer.forget_members(changes.lost_members)
            writer.states(_rows(changes))
            writer.rooms((room.room_id, _encode(room)) for room in changes.rooms.values())
            writer.account_data(_contents(changes))
            writer.meta(_NEXT_BATCH, changes.next_batch.encode())
            if changes.is_partial is not None:
                writer.meta(_IS_PARTIAL, b"1" if changes.is_partial else None)
            for rider in self.riders:
                rider.write(writer)
        for rider in self.riders:
            rider.written()
        self.next_batch = changes.next_batch
        self.is_current = True
        self.loaded_members -= changes.lost_members
        self.pending = None
        for see in self._watchers:
            see(changes)

    @contextmanager
    def watched(self, see: Callable[[Changes], None]) -> Iterator[None]:
        """Has each sync's changes shown once they are lasting, while the `with` block runs."""
        self._watchers.append(see)
        try:
            yield
        finally:
            self._watchers.remove(see)

    def reload(self) -> None:
        """Goes back to what the store has; when it cannot be read now, `settle` tries again."""
        self.is_stale = True
        with suppress(StoreError):
            self.settle()

    def settle(self) -> None:
        """Makes sure that the rooms are those of the store; raises when it cannot be read."""
        if self.is_stale:
            self.load()

    def forget(self) -> None:
        """Forgets everything, the session included."""
        self._store.clear()
        self.load()

    def close(self) -> None:
        """Closes the store."""
        self._store.close()

    def take_account_data(self, kind: str, content: bytes) -> None:
        """Takes global account data that routing needs."""
        if kind == _DIRECT:
            self.direct = direct_rooms(content)

    def is_encrypted(self, room_id: str) -> bool:
        """Whether a room is known to be encrypted, or to have been at any time."""
        room = self.rooms.get(room_id)
        is_now = room is not None and room.is_encrypted
        return is_now or self._was_encrypted(room_id)

    def _was_encrypted(self, room_id: str) -> bool:
        """Asks the store, but not for each message anew."""
        changes = self._store.crypto_changes
        if self._never_encrypted.get(room_id) == changes:
            return False
        if self._store.crypto_value(_ENCRYPTED, room_id, "") is not None:
            return True
        self._never_encrypted[room_id] = changes
        return False

    def keep_encrypted(self, room_id: str) -> None:
        """Keeps at once and for ever that a room is encrypted, be it known otherwise or not."""
        room = self.rooms.get(room_id)
        if room is not None:
            # Whether it can be kept or not.
            room.is_encrypted = True
        with self._store.transaction() as writer:
            if room is not None:
                writer.rooms([(room_id, _encode(room))])
            self._remember_encrypted(writer, room_id)

    def _remember_encrypted(self, writer: Writer, room_id: str) -> None:
        """How it is encrypted is not known here, and kept if it is."""
        if self._store.crypto_value(_ENCRYPTED, room_id, "") is None:
            writer.crypto(_ENCRYPTED, [(room_id, "", b"{}")], [])

    # -- what is known, the last sync's changes included -------------------------------------

    def event(self, room_id: str, kind: str, state_key: str) -> bytes | None:
        """A state event."""
        pending = self.pending
        if pending is not None:
            raw = pending.states.get(room_id, {}).get((kind, state_key))
            if raw is not None:
                return bytes(raw)
            if room_id in pending.fresh_rooms:
                return None
        return self._store.state(room_id, kind, state_key)

    def events(self, room_id: str, kind: str | None) -> dict[tuple[str, str], bytes]:
        """State events of a room by type and state key, of one type or of all."""
        pending = self.pending
        found: dict[tuple[str, str], bytes] = {}
        if pending is None or room_id not in pending.fresh_rooms:
            if kind is None:
                found = {(name, key): data for name, key, data in self._store.all_states(room_id)}
            else:
                found = {(kind, key): data for key, data in self._store.states(room_id, kind)}
        if pending is not None:
            for place, raw in pending.states.get(room_id, {}).items():
                if kind is None or place[0] == kind:
                    found[place] = bytes(raw)
        return found

    def account_data(self, room_id: str, kind: str) -> bytes | None:
        """The content of account data; of no room: global."""
        if self.pending is not None:
            fresh = self.pending.account_data.get(room_id, {}).get(kind)
            if fresh is not None:
                return fresh
        return self._store.account_data(room_id, kind)

    def account_data_types(self) -> list[str]:
        """The types of global account data that are known."""
        fresh = self.pending.account_data.get("", {}) if self.pending is not None else {}
        return sorted({*self._store.account_data_types(), *fresh})

    def members(self, room_id: str) -> dict[str, Member]:
        """The members that are known."""
        return {key: _member(data) for (_, key), data in self.events(room_id, MEMBER).items()}

    def member(self, room_id: str, user_id: str) -> Member | None:
        """One member, if known."""
        event = self.event(room_id, MEMBER, user_id)
        return _member(event) if event else None

    def is_fresh(self, room_id: str) -> bool:
        """Whether only the last sync counts of a room's state, as that is not in the store yet."""
        return self.pending is not None and room_id in self.pending.fresh_rooms

    def keep_members(self, room_id: str, events: dict[str, Raw], *, are_all: bool = True) -> None:
        """Keeps a room's members in place of those known so far; what is pending lies over them."""
        with self._store.transaction() as writer:
            writer.forget_type(room_id, MEMBER)
            writer.states((room_id, MEMBER, user, raw) for user, raw in events.items())
            if are_all:
                writer.members_loaded(room_id)
        if are_all:
            self.loaded_members.add(room_id)

    def forget_room(self, room_id: str) -> None:
        """Forgets a room at once, but not that it was encrypted."""
        with self._store.transaction() as writer:
            if self.is_encrypted(room_id):
                self._remember_encrypted(writer, room_id)
            writer.forget_room(room_id)
        self.drop_room(room_id)

    def drop_room(self, room_id: str) -> None:
        """Takes a room out of what is known; the store is not asked."""
        self.rooms.pop(room_id, None)
        self.loaded_members.discard(room_id)
        pending = self.pending
        if pending is not None:
            pending.rooms.pop(room_id, None)
            pending.states.pop(room_id, None)
            pending.account_data.pop(room_id, None)


def _rows(changes: Changes) -> Iterator[tuple[str, str, str, Raw]]:
    for room_id, events in changes.states.items():
        for (kind, state_key), raw in events.items():
            yield room_id, kind, state_key, raw


def _contents(changes: Changes) -> Iterator[tuple[str, str, bytes]]:
    for room_id, contents in changes.account_data.items():
        for kind, content in contents.items():
            yield room_id, kind, content


def _member(event: bytes) -> Member:
    return member_of(_decode_head(event))


def direct_rooms(content: bytes) -> frozenset[str]:
    """The rooms in the content of m.direct; what is not as it should be is passed over."""
    try:
        users: Any = msgspec.json.decode(content)
    except BROKEN_JSON:
        return frozenset()
    if not isinstance(users, dict):
        return frozenset()
    lists = [rooms for rooms in users.values() if isinstance(rooms, list)]
    return frozenset(room for rooms in lists for room in rooms if isinstance(room, str))
