"""Events that were given undecrypted, given again in clear when that is possible.

Their key has come, or their sender is trusted now.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix import frames
from libmatrix.events.head import read_timeline_event
from libmatrix.events.record import ENCRYPTED, Marks, unlock

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto
    from libmatrix.store.state import Changes
    from libmatrix.sync.post import Post

_MARKS = Marks(is_historic=False)
_REDACTION = b"m.room.redaction"


class _Redacts(msgspec.Struct):
    redacts: Any = None


class _Redaction(msgspec.Struct):
    """Before room version 11 the field is at the top."""

    type: str
    content: _Redacts
    redacts: Any = None


_decode_redaction = msgspec.json.Decoder(_Redaction).decode


class Late:
    """Finds them, and forgets them when the host has consumed them."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        # Sessions that are new, or trusted now, for which events may wait.
        self._fresh: set[tuple[str, str]] = set()
        self._has_looked = False
        self._is_due = False
        # While a sync is handled its keys, and whom it makes known, wait for its own turn.
        self.is_held = False
        self._marks: dict[int, Callable[[], None]] = {}
        crypto.room_keys.on_new.append(self.can_read)

    def can_read(self, room_id: str, session_id: str) -> None:
        """Events of a session can be decrypted now, or shown, if there are any."""
        self._fresh.add((room_id, session_id))
        if not self.is_held and not self._is_due:
            self._is_due = True
            self._crypto.client.host.loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._is_due = False
        if not self._crypto.is_closed:
            self._crypto.spawn(self._give_now())

    async def give(self, post: Post, changes: Changes) -> None:
        """Gives them with a sync's events; they are forgotten when that is committed."""
        forget = await self._give(post)
        if forget is not None:
            changes.before_commit.append(forget)

    async def _give_now(self) -> None:
        """The same for keys that came by other ways than a sync."""
        from libmatrix.sync.post import Post
        from libmatrix.sync.syncer import Syncer

        client = self._crypto.client
        post = Post(client)
        forget = await self._give(post)
        await post.flush()
        if forget is None:
            return
        if not post.has_posted:
            forget()
            return
        mark = next(Syncer.marks)
        self._marks[mark] = forget
        client.host.outbox.add(frames.MARK, client.context, client.handle, extra=mark)

    def look_for_redactions(self, room_id: str, raws: list[Raw]) -> None:
        """What was redacted while it waited is not given any more."""
        decryptor = self._crypto.decryptor
        if not decryptor.has_waiting(room_id):
            return
        for data in map(bytes, raws):
            if _REDACTION in data:
                try:
                    event = _decode_redaction(data)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    continue
                for redacted in (event.redacts, event.content.redacts):
                    if event.type == _REDACTION.decode() and isinstance(redacted, str):
                        decryptor.redacted(room_id, redacted)

    def consumed(self, mark: int) -> None:
        """The host has consumed what came before a mark."""
        forget = self._marks.pop(mark, None)
        if forget is not None:
            forget()
            self._crypto.store.flush()

    async def _give(self, post: Post) -> Callable[[], None] | None:
        """Gives what can be decrypted now; what is returned forgets it."""
        places = self._find()
        if not places:
            return None
        client, table = self._crypto.client, self._crypto.store.undecrypted
        hidden = self._crypto.hidden
        given: list[tuple[str, str]] = []
        for room_id, session_id in sorted(places):
            place = waiting_place(room_id, session_id)
            waiting = [*table.of(place).items(), *hidden.of(place).items()]
            for name, event in waiting:
                if self._give_one(post, room_id, Raw(event)):
                    given.append((place, name))
                await post.passed(1)

        def forget() -> None:
            self._fresh -= places
            for place, name in given:
                self._crypto.decryptor.waits_no_more(place, name)
                hidden.forget(place, name)

        if not given:
            forget()
            return None
        client.log.record("debug", "encryption", f"{len(given)} events decrypted late")
        return forget

    def _give_one(self, post: Post, room_id: str, raw: Raw) -> bool:
        """Whether it could be decrypted."""
        client, decryptor = self._crypto.client, self._crypto.decryptor
        head = read_timeline_event(bytes(raw))
        decryptor.is_late = True
        try:
            head, encryption = unlock(client.decrypt, room_id, head, raw)
        finally:
            decryptor.is_late = False
        self._crypto.take_room_event(room_id, decryptor.hidden or head)
        if head.type == ENCRYPTED:
            return False
        wishes = client.subscriptions.routes.of_timeline(head)
        post.give_clear(wishes, room_id, head, raw, _MARKS, encryption)
        return True

    def _find(self) -> set[tuple[str, str]]:
        if not self._has_looked:
            # A crash may have come between a key and its events.
            self._has_looked = True
            crypto = self._crypto
            waiting = {first for first, _ in crypto.store.undecrypted.places()}
            pairs = (place.rpartition("|") for place in waiting)
            found = {(room, session) for room, _, session in pairs}
            self._fresh |= {pair for pair in found if crypto.room_keys.has(*pair)}
            self._fresh |= crypto.hidden.due()
        return set(self._fresh)


def waiting_place(room_id: str, session_id: str) -> str:
    """The key under which events wait for a session."""
    return f"{room_id}|{session_id}"
