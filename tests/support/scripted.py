"""A homeserver that answers as a test says: one function from request to answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.support.web_server import Answer, Received, WebServer

__all__ = ["Answer", "Request", "ScriptedServer"]


@dataclass
class Request:
    """What arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


Script = Callable[[Request], Answer]

# Asked before every login, and of no interest to most tests.
_VERSIONS = "/_matrix/client/versions"


class ScriptedServer(WebServer):
    """Runs while the `with` block does; keeps what it was asked."""

    def __init__(self, script: Script, versions: Answer | None = None) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self._script = script
        self._spoken = versions or Answer({"versions": ["v1.11"]})

    def respond(self, request: Received) -> Answer:
        """As the script says."""
        asked = Request(
            request.method,
            unquote(request.parts.path),
            dict(parse_qsl(request.parts.query)),
            request.headers,
            json.loads(request.body) if request.body else None,
        )
        if asked.path == _VERSIONS:
            return self._spoken
        self.requests.append(asked)
        return self._script(asked)
