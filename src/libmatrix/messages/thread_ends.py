"""The newest event of each thread: what clients without threads show the next one as a reply to.

A client that never sends into a thread keeps nothing of this, and its syncs do not look for it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import msgspec
from msgspec import Raw

from libmatrix.errors import BROKEN_JSON

if TYPE_CHECKING:
    from libmatrix.client import Client

_MOST_KEPT = 1_024
# Encrypted events say it in clear as well.
_MARK = b'"m.thread"'


class _Relation(msgspec.Struct, gc=False):
    rel_type: Any = None
    event_id: Any = None


class _Content(msgspec.Struct, gc=False):
    relation: _Relation = msgspec.field(default_factory=_Relation, name="m.relates_to")


class _Event(msgspec.Struct, gc=False):
    event_id: str
    content: _Content
    state_key: Any = None


_decode = msgspec.json.Decoder(_Event).decode


class ThreadEnds:
    """What a client knows of the ends of threads, by room and root."""

    def __init__(self) -> None:
        self._ends: OrderedDict[tuple[str, str], str] = OrderedDict()

    def newest(self, room_id: str, thread_id: str) -> str | None:
        """The newest event of a thread, if one is known."""
        return self._ends.get((room_id, thread_id))

    def add(self, room_id: str, thread_id: str, event_id: str) -> None:
        """An event is in a thread now."""
        self._ends[room_id, thread_id] = event_id
        self._ends.move_to_end((room_id, thread_id))
        if len(self._ends) > _MOST_KEPT:
            self._ends.popitem(last=False)

    def see(self, room_id: str, events: Iterable[Raw]) -> None:
        """Looks for events of threads in a piece of a timeline; what is malformed is none."""
        for raw in events:
            data = bytes(raw)
            if _MARK not in data:
                continue
            try:
                event = _decode(data)
            except BROKEN_JSON:
                continue
            relation = event.content.relation
            is_one = relation.rel_type == "m.thread" and event.state_key is None
            if is_one and isinstance(relation.event_id, str):
                self.add(room_id, relation.event_id, event.event_id)


_known: WeakKeyDictionary[Client, ThreadEnds] = WeakKeyDictionary()


def thread_ends(client: Client) -> ThreadEnds:
    """Those of a client, which are followed from now on."""
    return _known.setdefault(client, ThreadEnds())


def followed(client: Client) -> ThreadEnds | None:
    """Those of a client that has sent into a thread before."""
    return _known.get(client)
