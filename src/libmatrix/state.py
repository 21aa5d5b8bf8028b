"""What a client knows of its rooms and account, in memory and in its store."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from libmatrix.errors import StoreError
from libmatrix.events import EventHead
from libmatrix.rooms import MEMBER, Member, RoomState, member_of
from libmatrix.session import Session
from libmatrix.store import Store

_SESSION = "session"
_NEXT_BATCH = "next_batch"
_IS_PARTIAL = "is_partial"
_DIRECT = "m.direct"

_encode = msgspec.json.Encoder().encode
_decode_room = msgspec.json.Decoder(RoomState).decode
_decode_session = msgspec.json.Decoder(Session).decode
_decode_head = msgspec.json.Decoder(EventHead).decode


class Changes:
    """What one sync changes; committed together with its token, or not at all."""

    def __init__(self) -> None:
        self.next_batch = ""
        self.is_partial: bool | None = None
        self.rooms: dict[str, RoomState] = {}
        self.fresh_rooms: list[str] = []
        self.states: list[tuple[str, str, str, Raw]] = []
        self.account_data: list[tuple[str, str, bytes]] = []


class State:
    """Rooms and account of a client. The rooms may be ahead of the store by one sync."""

    def __init__(self, folder: str | None) -> None:
        self._store = Store(folder)
        self.session = Session()
        self.next_batch: str | None = None
        self.is_partial = False
        self.rooms: dict[str, RoomState] = {}
        self.direct: frozenset[str] = frozenset()
        try:
            self.load()
        except BaseException:
            self._store.close()
            raise

    def load(self) -> None:
        """Takes everything from the store."""
        try:
            self._load(self._store)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise StoreError(f"the store holds what libmatrix did not write: {error}") from None

    def _load(self, store: Store) -> None:
        session = store.meta(_SESSION)
        self.session = _decode_session(session) if session else Session()
        token = store.meta(_NEXT_BATCH)
        self.next_batch = token.decode() if token else None
        self.is_partial = store.meta(_IS_PARTIAL) is not None
        rooms = [_decode_room(data) for data in store.rooms()]
        self.rooms = {room.room_id: room for room in rooms}
        direct = store.account_data("", _DIRECT)
        self.direct = direct_rooms(direct) if direct else frozenset()

    def keep_session(self, session: Session) -> None:
        """Keeps who is logged in."""
        self.session = session
        self._store.put_meta(_SESSION, _encode(session))

    def commit(self, changes: Changes) -> None:
        """Makes a sync's changes lasting."""
        with self._store.transaction() as writer:
            writer.forget_state(changes.fresh_rooms)
            writer.states(changes.states)
            writer.rooms((room.room_id, _encode(room)) for room in changes.rooms.values())
            writer.account_data(changes.account_data)
            writer.meta(_NEXT_BATCH, changes.next_batch.encode())
            if changes.is_partial is not None:
                writer.meta(_IS_PARTIAL, b"1" if changes.is_partial else None)
        self.next_batch = changes.next_batch

    def reload(self) -> None:
        """Goes back to what the store has; when it cannot even be read, nothing is known."""
        try:
            self.load()
        except StoreError:
            self.rooms, self.next_batch = {}, None

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

    def keep_encrypted(self, room: RoomState) -> None:
        """Keeps at once that a known room turned out to be encrypted."""
        room.is_encrypted = True
        with self._store.transaction() as writer:
            writer.rooms([(room.room_id, _encode(room))])

    def members(self, room_id: str) -> dict[str, Member]:
        """The members that the store knows."""
        return {user: _member(event) for user, event in self._store.states(room_id, MEMBER)}

    def member(self, room_id: str, user_id: str) -> Member | None:
        """One member that the store knows."""
        event = self._store.state(room_id, MEMBER, user_id)
        return _member(event) if event else None


def _member(event: bytes) -> Member:
    return member_of(_decode_head(event))


def direct_rooms(content: bytes) -> frozenset[str]:
    """The rooms in the content of m.direct; what is not as it should be is passed over."""
    try:
        users: Any = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return frozenset()
    if not isinstance(users, dict):
        return frozenset()
    lists = [rooms for rooms in users.values() if isinstance(rooms, list)]
    return frozenset(room for rooms in lists for room in rooms if isinstance(room, str))
