"""What to call a room (client-server API, "Calculating the display name for a room")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

EMPTY = "Empty room"
_MOST_HEROES = 5


def make_name(
    name: str | None,
    alias: str | None,
    heroes: Sequence[tuple[str, str | None]],
    others: int,
) -> str:
    """The name to show.

    `heroes` are user ids with their display names, at most five of them count; `others` is how many
    members are joined or invited beside this user.
    """
    if name:
        return name
    if alias:
        return alias
    shown = _distinguish(heroes[:_MOST_HEROES])
    if not shown:
        return EMPTY if others < 1 else f"{others} people" if others > 1 else "1 person"
    if others < 1:
        return f"{EMPTY} (was {_listed(shown)})"
    if len(shown) >= others:
        return _listed(shown)
    left = others - len(shown)
    return f"{', '.join(shown)} and {left} other{'s' if left > 1 else ''}"


def _distinguish(heroes: Sequence[tuple[str, str | None]]) -> list[str]:
    """Display names; those that are not unique with the user id, those missing as the user id."""
    counts = Counter(name for _, name in heroes)
    return [
        (name if counts[name] == 1 else f"{name} ({user_id})") if name else user_id
        for user_id, name in heroes
    ]


def _listed(names: Sequence[str]) -> str:
    """A, B and C."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
