"""Every place in a JSON value, and other values put there."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

Path = tuple[Any, ...]


def paths(value: Any, here: Path = ()) -> Iterator[Path]:
    """Every place in a JSON value."""
    if here:
        yield here
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield from paths(item, (*here, key))


def put(value: Any, path: Path, other: Any) -> None:
    """Puts another value into a place; nothing is done where that is gone."""
    target = value
    try:
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = copy.deepcopy(other)
    except (TypeError, KeyError, IndexError):
        pass
