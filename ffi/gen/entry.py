"""One table of a TOML file, read strictly: known keys only, each of its type."""

from __future__ import annotations

from typing import Any

from .model import ApiError


class Entry:
    """A TOML table with its place, so that every complaint says where it belongs."""

    def __init__(self, where: str, value: object) -> None:
        if not isinstance(value, dict):
            raise ApiError(f"{where}: is no table")
        self.where = where
        self._values: dict[str, Any] = dict(value)

    def fail(self, message: str) -> ApiError:
        """The error to raise about this entry."""
        return ApiError(f"{self.where}: {message}")

    def text(self, key: str) -> str:
        """A required string of one line."""
        value = self._take(key)
        if not isinstance(value, str):
            raise self.fail(f"{key!r} must be a string")
        if not value.strip() or value != value.strip() or "\n" in value:
            raise self.fail(f"{key!r} must be one line of text without spaces around it")
        if "*/" in value or "]]" in value or '"""' in value or "\\" in value:
            raise self.fail(f'{key!r} must not hold */, ]], """ or a backslash')
        return value

    def optional_text(self, key: str) -> str:
        """A string of one line, "" when the key is missing."""
        return self.text(key) if key in self._values else ""

    def flag(self, key: str) -> bool:
        """A bool, false when the key is missing."""
        value = self._values.pop(key, False)
        if not isinstance(value, bool):
            raise self.fail(f"{key!r} must be true or false")
        return value

    def integer(self, key: str) -> int:
        """A required integer."""
        value = self._take(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.fail(f"{key!r} must be an integer")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings, empty when the key is missing."""
        value = self._values.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(f"{key!r} must be a list of strings")
        for item in value:
            if value.count(item) > 1:
                raise self.fail(f"{key!r} has {item!r} twice")
        return tuple(value)

    def entries(self, key: str) -> list[Entry]:
        """A list of tables, empty when the key is missing; each knows its place."""
        value = self._values.pop(key, [])
        if not isinstance(value, list):
            raise self.fail(f"{key!r} must be a list of tables")
        return [Entry(f"{self.where}.{key}[{index}]", item) for index, item in enumerate(value, 1)]

    def has(self, key: str) -> bool:
        """Whether `key` is there and not taken yet."""
        return key in self._values

    def take(self, key: str) -> object:
        """Any value, None when the key is missing."""
        return self._values.pop(key, None)

    def finish(self) -> None:
        """Refuses what nobody asked for."""
        if self._values:
            raise self.fail(f"unknown key {min(self._values)!r}")

    def _take(self, key: str) -> Any:
        if key not in self._values:
            raise self.fail(f"{key!r} is missing")
        return self._values.pop(key)
