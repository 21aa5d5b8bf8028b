"""Answers to requests in rooms that come before the homeserver has told the request's event id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

_MOST = 50


class Answer(NamedTuple):
    """An event in a room."""

    room_id: str
    sender: str
    kind: str
    content: dict[str, Any]


class Early:
    """Keeps them while a request is on its way."""

    def __init__(self) -> None:
        self._asking: Counter[tuple[str, str]] = Counter()
        self._answers: list[Answer] = []

    @contextmanager
    def asking(self, room_id: str, user_id: str) -> Iterator[None]:
        """A request to a user in a room is on its way."""
        self._asking[room_id, user_id] += 1
        try:
            yield
        finally:
            self._asking[room_id, user_id] -= 1

    def keep(self, answer: Answer) -> None:
        """Keeps an event if it may be an answer."""
        if self._asking[answer.room_id, answer.sender] > 0 and len(self._answers) < _MOST:
            self._answers.append(answer)

    def drain(self) -> list[Answer]:
        """What was kept, which is forgotten."""
        answers, self._answers = self._answers, []
        return answers
