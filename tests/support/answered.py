"""A client of a homeserver that answers by method and path, for operations on rooms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer

V3 = "/_matrix/client/v3"
ME = "@me:localhost"
BOB = "@bob:localhost"
MISSING = Answer({"errcode": "M_NOT_FOUND", "error": "there is none"}, 404)
UNRECOGNIZED = Answer({"errcode": "M_UNRECOGNIZED", "error": "what?"}, 404)

Place = tuple[str, str]


class Scene:
    """A client of a server that answers by method and path; the rest is M_NOT_FOUND."""

    def __init__(self, host: RuntimeHost, server: ScriptedServer) -> None:
        self.host = host
        self.server = server
        self.client = host.client(server.url, user_id=ME, access_token="token")

    def call(self, operation: str, **arguments: Any) -> Any:
        """The result of an operation that must succeed."""
        return self.host.call(self.client, operation, **arguments)

    def refuse(self, operation: str, **arguments: Any) -> Any:
        """The error of one that must fail."""
        return self.host.refuse(self.client, operation, **arguments)

    def bodies(self, method: str, path: str) -> list[Any]:
        """What was sent there."""
        requests = self.server.requests
        return [each.body for each in requests if (each.method, each.path) == (method, path)]


@pytest.fixture
def answers() -> dict[Place, Any]:
    """What the server says: an answer, a body, or a function of the request."""
    return {}


@pytest.fixture
def scene(answers: dict[Place, Any]) -> Iterator[Scene]:
    """A client of a server that says what `answers` has."""

    def script(request: Request) -> Answer:
        found = answers.get((request.method, request.path), MISSING)
        if callable(found):
            found = found(request)
        return found if isinstance(found, Answer) else Answer(found)

    with ScriptedServer(script) as server, RuntimeHost() as host:
        yield Scene(host, server)


def state(room_id: str, kind: str) -> str:
    """Where a state event is asked for."""
    return f"{V3}/rooms/{room_id}/state/{kind}/"


def member(user_id: str, membership: str = "join") -> dict[str, Any]:
    """An event that says where a user stands."""
    content = {"membership": membership}
    return {"type": "m.room.member", "state_key": user_id, "content": content, "sender": user_id}
