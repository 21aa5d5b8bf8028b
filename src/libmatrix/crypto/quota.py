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
        self, most_of_one: int, most: int, load: Callable[[], Iterable[tuple[str, P, int]]]
    ) -> None:
        """`load` gives owners, places and weights that are there, the oldest first; asked once."""
        self._most_of_one = most_of_one
        self._most = most
        self._load: Callable[[], Iterable[tuple[str, P, int]]] | None = load
        self._owners: dict[P, str] = {}
        # Places with their weights; of each owner, and the weight of all.
        self._places: dict[str, dict[P, int]] = {}
        self._weights: dict[str, int] = {}
        self._total = 0
        # Owners by the weight they have; and the greatest such number.
        self._sizes: dict[int, dict[str, None]] = {}
        self._largest = 0

    def add(self, owner: str, place: P, weight: int = 1) -> list[P]:
        """Counts a place as the newest; gives those that have to go."""
        self._fill()
        self._put(owner, place, weight)
        gone = []
        while self._weights.get(owner, 0) > self._most_of_one:
            gone.append(self._drop_oldest(owner))
        while self._total > self._most:
            gone.append(self._drop_oldest(next(iter(self._sizes[self._largest]))))
        return gone

    def remove(self, place: P) -> bool:
        """Counts a place no more; whether it was counted."""
        self._fill()
        owner = self._owners.pop(place, None)
        if owner is None:
            return False
        self._resize(owner, -self._places[owner].pop(place))
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
            for owner, place, weight in load():
                self._put(owner, place, weight)

    def _put(self, owner: str, place: P, weight: int) -> None:
        self.remove(place)
        self._places.setdefault(owner, {})[place] = weight
        self._owners[place] = owner
        self._resize(owner, weight)

    def _drop_oldest(self, owner: str) -> P:
        place = next(iter(self._places[owner]))
        self.remove(place)
        return place

    def _resize(self, owner: str, more: int) -> None:
        before = self._weights.pop(owner, 0)
        now = before + more
        self._total += more
        self._sizes.get(before, {}).pop(owner, None)
        if now:
            self._weights[owner] = now
            self._sizes.setdefault(now, {})[owner] = None
        else:
            del self._places[owner]
        self._largest = max(self._largest, now)
        while self._largest and not self._sizes.get(self._largest):
            self._sizes.pop(self._largest, None)
            self._largest -= 1
