"""What state events say of spaces: their children in order, and the spaces a room names."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from libmatrix.errors import BROKEN_JSON, ArgumentError
from libmatrix.events.head import EventHead, content
from libmatrix.rooms.previews import whole
from libmatrix.table_gen import SpaceChild, SpaceParent

CHILD = "m.space.child"
PARENT = "m.space.parent"
_LONGEST_ORDER = 50
_LATEST = 1 << 63


class _Link(msgspec.Struct, gc=False):
    via: Any = None
    order: Any = None
    suggested: Any = None
    canonical: Any = None


class ChildEvent(msgspec.Struct, gc=False):
    """A child as hierarchy tells it."""

    type: str
    state_key: str
    content: Raw
    origin_server_ts: Any = None


def check_order(order: str) -> None:
    """Raises ArgumentError for what others would pass over."""
    if not is_order(order):
        raise ArgumentError("order: must be of 1 to 50 characters from space to ~")


def is_order(order: object) -> bool:
    """Whether it counts: short, and of visible ASCII."""
    if not isinstance(order, str) or not 0 < len(order) <= _LONGEST_ORDER:
        return False
    return all(" " <= character <= "~" for character in order)


def children_of(events: list[EventHead] | list[ChildEvent]) -> list[SpaceChild]:
    """The children, in the order to show; those without via have been taken out."""
    found = []
    for event in events:
        said = content(event.content, _Link)
        via = _servers(said.via)
        if event.type != CHILD or not event.state_key or not via:
            continue
        child = SpaceChild(
            room_id=event.state_key,
            via=via,
            order=said.order if is_order(said.order) else None,
            suggested=said.suggested is True,
            origin_server_ts=whole(event.origin_server_ts),
        )
        found.append(child)
    return sorted(found, key=_place)


def told_children(raw: Raw) -> list[ChildEvent]:
    """What hierarchy tells of a space's children; what is no such event is passed over."""
    try:
        events = msgspec.json.decode(raw, type=list[Raw]) if raw else []
    except BROKEN_JSON:
        return []
    found = []
    for event in events:
        try:
            found.append(msgspec.json.decode(event, type=ChildEvent))
        except BROKEN_JSON:
            continue
    return found


def _place(child: SpaceChild) -> tuple[bool, str, int, str]:
    sent = _LATEST if child.origin_server_ts is None else child.origin_server_ts
    return child.order is None, child.order or "", sent, child.room_id


def parents_of(events: list[EventHead]) -> list[SpaceParent]:
    """The spaces that a room names, the main one first: of several, that with the lowest id."""
    found = []
    for event in events:
        said = content(event.content, _Link)
        via = _servers(said.via)
        if event.type == PARENT and event.state_key and via:
            is_main = said.canonical is True
            found.append(SpaceParent(space_id=event.state_key, via=via, canonical=is_main))
    return sorted(found, key=lambda parent: (not parent.canonical, parent.space_id))


def _servers(value: object) -> list[str]:
    servers = value if isinstance(value, list) else []
    return [server for server in servers if isinstance(server, str) and server]
