"""How much of the store others may fill: what came first of whoever has the most gives way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

P = TypeVar("P")


class Quota(Generic[P]):
    """Places by whom they are of, in the order of their coming.

    A flood costs only who makes it: others lose nothing before they have as many.
    """

    def __init__(
        self, most_of_one: int, most: int, load: Callable[[], Iterable[tuple[str, P]]]
    ) -> None:
        """`load` gives owners and places that are there already, the oldest first; asked once."""
        self._most_of_one = most_of_one
        self._most = most
        self._load: Callable[[], Iterable[tuple[str, P]]] | None = load
        self._owners: dict[P, str] = {}
        self._places: dict[str, dict[P, None]] = {}
        # Owners by how many places they have; and the greatest such number.
        self._sizes: dict[int, dict[str, None]] = {}
        self._largest = 0

    def add(self, owner: str, place: P) -> list[P]:
        """Counts a place as the newest; gives those that have to go."""
        self._fill()
        self._put(owner, place)
        gone = []
        while len(self._places[owner]) > self._most_of_one:
            gone.append(self._drop_oldest(owner))
        while len(self._owners) > self._most:
            gone.append(self._drop_oldest(next(iter(self._sizes[self._largest]))))
        return gone

    def remove(self, place: P) -> bool:
        """Counts a place no more; whether it was counted."""
        self._fill()
        owner = self._owners.pop(place, None)
        if owner is None:
            return False
        before = len(self._places[owner])
        del self._places[owner][place]
        self._resize(owner, before)
        return True

    def of(self, owner: str) -> list[P]:
        """The places of one, the oldest first."""
        self._fill()
        return list(self._places.get(owner, ()))

    def drain(self) -> list[P]:
        """All places, of which none counts any more."""
        self._fill()
        drained = list(self._owners)
        for place in drained:
            self.remove(place)
        return drained

    def __contains__(self, place: P) -> bool:
        """Whether it is counted."""
        self._fill()
        return place in self._owners

    def __len__(self) -> int:
        """How many places there are."""
        self._fill()
        return len(self._owners)

    def _fill(self) -> None:
        load, self._load = self._load, None
        if load is not None:
            for owner, place in load():
                self._put(owner, place)

    def _put(self, owner: str, place: P) -> None:
        self.remove(place)
        places = self._places.setdefault(owner, {})
        places[place] = None
        self._owners[place] = owner
        self._resize(owner, len(places) - 1)

    def _drop_oldest(self, owner: str) -> P:
        place = next(iter(self._places[owner]))
        self.remove(place)
        return place

    def _resize(self, owner: str, before: int) -> None:
        now = len(self._places[owner])
        self._sizes.get(before, {}).pop(owner, None)
        if now:
            self._sizes.setdefault(now, {})[owner] = None
        else:
            del self._places[owner]
        self._largest = max(self._largest, now)
        while self._largest and not self._sizes.get(self._largest):
            self._sizes.pop(self._largest, None)
            self._largest -= 1
