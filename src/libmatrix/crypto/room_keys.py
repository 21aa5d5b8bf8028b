"""Inbound Megolm sessions: taken in, compared with what is known, loaded when they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Raw
from msgspec.structs import replace
from vodozemac import ExportedSessionKey, InboundGroupSession, PickleException, SessionKey

from libmatrix.crypto.account import MEGOLM
from libmatrix.crypto.records import RoomKey, Source, decode_room_key, encode
from libmatrix.crypto.unused_keys import UnusedKeys

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto
    from libmatrix.crypto.to_device import Incoming

_MOST_OPEN = 1_000
_MOST_LETTERS = 512
_LONGEST_CHAIN = 64
# Users who have sent one session.
_MOST_OTHERS = 32


class OpenKey:
    """A session that is in memory."""

    __slots__ = ("indices", "kept", "said", "session", "stamp")

    def __init__(self, session: InboundGroupSession, kept: RoomKey, indices: dict[str, bytes]):
        self.session = session
        self.kept = kept
        # Which event used which index.
        self.indices = indices
        # The field `encryption` of its events by sender, and what that was made from.
        self.said: dict[str, Raw | None] = {}
        self.stamp = -1


class RoomKeys:
    """All inbound sessions."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._store = crypto.store
        self._open: OrderedDict[tuple[str, str], OpenKey] = OrderedDict()
        # Told of each session that is new or reaches further back: room id, session id.
        self.on_new: list[Callable[[str, str], None]] = []
        self._unused = UnusedKeys(crypto, self._forget)

    # -- reading ------------------------------------------------------------------------------

    def open(self, room_id: str, session_id: str) -> OpenKey | None:
        """A session, ready to decrypt."""
        place = (room_id, session_id)
        found = self._open.get(place)
        if found is not None:
            self._open.move_to_end(place)
            return found
        data = self._store.room_keys.get(room_id, session_id)
        if data is None:
            return None
        kept = decode_room_key(data)
        try:
            session = InboundGroupSession.from_pickle(kept.pickle, self._store.key)
        except PickleException:
            return None
        found = self._open[place] = OpenKey(session, kept, self._store.indices.of(session_id))
        while len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)
        return found

    def has(self, room_id: str, session_id: str) -> bool:
        """Whether there is such a session."""
        place = (room_id, session_id)
        return place in self._open or self._store.room_keys.get(*place) is not None

    def places(self) -> list[tuple[str, str]]:
        """Room and session id of every session, in order."""
        return sorted(self._store.room_keys.places())

    def export(self, room_id: str, session_id: str, index: int | None = None) -> dict[str, Any]:
        """A session as key files, backups and forwards have it; raises LookupError."""
        found = self.open(room_id, session_id)
        if found is None:
            raise LookupError(session_id)
        first = found.session.first_known_index
        key = found.session.export_at(first if index is None else max(first, index))
        if key is None:
            raise LookupError(session_id)
        kept = found.kept
        return {
            "algorithm": MEGOLM,
            "room_id": room_id,
            "session_id": session_id,
            "session_key": key.to_base64(),
            "sender_key": kept.sender_key,
            "sender_claimed_keys": {"ed25519": kept.ed25519} if kept.ed25519 else {},
            "forwarding_curve25519_key_chain": kept.forwarding_chain,
        }

    # -- taking -------------------------------------------------------------------------------

    def take_direct(self, incoming: Incoming) -> tuple[str, str] | None:
        """Takes the session of an m.room_key event; None when it is not one."""
        content = incoming.content
        room_id, session_id = content.get("room_id"), content.get("session_id")
        key = content.get("session_key")
        if content.get("algorithm") != MEGOLM or not _are_text(room_id, session_id, key):
            return None
        try:
            session = InboundGroupSession(SessionKey(str(key)))
        except ValueError:
            return None
        device = incoming.device
        is_new = not self.has(str(room_id), str(session_id))
        kept = RoomKey(
            room_id=str(room_id),
            session_id=str(session_id),
            pickle="",
            sender_key=incoming.curve25519,
            ed25519=incoming.ed25519,
            owner=incoming.sender if device is not None else None,
        )
        taken = self._take(session, kept)
        if taken is not None:
            self._unused.came(incoming.sender, *taken, is_new=is_new)
        return taken

    def take_own(self, room_id: str, session_key: str) -> None:
        """Takes a session that this device has just made."""
        session = InboundGroupSession(SessionKey(session_key))
        account = self._crypto.account
        kept = RoomKey(
            room_id=room_id,
            session_id=session.session_id,
            pickle="",
            sender_key=account.curve25519,
            ed25519=account.ed25519,
            owner=self._crypto.user_id,
            source="own",
        )
        self._take(session, kept)

    def take_exported(self, exported: Any, source: Source) -> bool:
        """Takes a session of a key file, a backup or a forward; whether it brought anything new.

        Who made it is only what that text says. Raises ValueError when it is no session.
        """
        if not isinstance(exported, dict) or exported.get("algorithm") != MEGOLM:
            raise ValueError("not a Megolm session")
        room_id, session_id = exported.get("room_id"), exported.get("session_id")
        key, sender_key = exported.get("session_key"), exported.get("sender_key")
        if not _are_text(room_id, session_id, key):
            raise ValueError("a field is missing")
        session = InboundGroupSession.import_session(ExportedSessionKey(str(key)))
        claimed = exported.get("sender_claimed_keys")
        ed25519 = claimed.get("ed25519") if isinstance(claimed, dict) else None
        chain = exported.get("forwarding_curve25519_key_chain")
        kept = RoomKey(
            room_id=str(room_id),
            session_id=str(session_id),
            pickle="",
            sender_key=str(sender_key) if _are_text(sender_key) else "",
            ed25519=str(ed25519) if _are_text(ed25519) else "",
            source=source,
            forwarding_chain=_chain(chain),
        )
        taken = self._take(session, kept)
        self._unused.stays(kept.room_id, kept.session_id)
        return taken is not None

    def used(self, key: OpenKey) -> None:
        """A session decrypts its first event."""
        self._unused.stays(key.kept.room_id, key.kept.session_id)

    def _forget(self, room_id: str, session_id: str) -> None:
        place = (room_id, session_id)
        self._open.pop(place, None)
        self._store.room_keys.delete(*place)
        self._store.unsaved_keys.delete(*place)

    def _take(self, session: InboundGroupSession, kept: RoomKey) -> tuple[str, str] | None:
        """Keeps a session if it is better than what is there."""
        if session.session_id != kept.session_id:
            return None
        known = self.open(kept.room_id, kept.session_id)
        if known is not None:
            merged = _merge(known, session, kept)
            if merged is None:
                return None
            session, kept = merged
        kept.first_index = session.first_known_index
        kept.pickle = session.pickle(self._store.key)
        place = (kept.room_id, kept.session_id)
        self._store.room_keys.put(*place, encode(kept))
        if kept.source != "backup":
            self._store.unsaved_keys.put(*place, b"")
        indices = known.indices if known else self._store.indices.of(kept.session_id)
        self._open[place] = OpenKey(session, kept, indices)
        for listener in self.on_new:
            listener(*place)
        return place


def _merge(
    known: OpenKey, session: InboundGroupSession, kept: RoomKey
) -> tuple[InboundGroupSession, RoomKey] | None:
    """The better of two sessions with one id; None when the known one is.

    They are the same ratchet if they export the same at an index both have. What reaches further
    back wins; what is known of its maker is kept from whichever proves it.
    """
    before, after = known.session.first_known_index, session.first_known_index
    index = max(before, after)
    ours, theirs = known.session.export_at(index), session.export_at(index)
    is_same = ours is not None and theirs is not None and ours.to_base64() == theirs.to_base64()
    if not is_same:
        # Who was sent it has one that its maker signed, whatever a file said.
        is_proof = kept.owner is not None and known.kept.owner is None
        return (session, kept) if is_proof else None
    maker = _maker(known.kept, kept)
    if after >= before and maker is known.kept:
        return None
    return session if after < before else known.session, maker


def _maker(known: RoomKey, kept: RoomKey) -> RoomKey:
    """What is known of a session's maker when it has come again; `known` if nothing is new."""
    owner = kept.owner
    if owner is None or owner == known.owner or owner in known.others:
        return known
    if known.owner is None and known.sender_key == kept.sender_key:
        return replace(kept, others=known.others)
    if len(known.others) >= _MOST_OTHERS:
        return known
    return replace(known, others={**known.others, owner: (kept.sender_key, kept.ed25519)})


def _chain(said: Any) -> list[str]:
    known = [key for key in said if _are_text(key)] if isinstance(said, list) else []
    return known[-_LONGEST_CHAIN:]


def _are_text(*values: Any) -> bool:
    return all(isinstance(value, str) and len(value) <= _MOST_LETTERS for value in values)
