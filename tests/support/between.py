"""Between a client and a real homeserver: what it answers may be lost or changed on its way."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlencode

from tests.support import client
from tests.support.scripted import Answer, Request, ScriptedServer

Change = Callable[[Request, Answer], Answer]


def between(
    url: str, change: Change, before: Callable[[Request], Answer | None] = lambda _: None
) -> ScriptedServer:
    """Passes everything on to the homeserver at `url`, and its answers through `change`.

    What `before` answers itself goes no further.
    """

    def script(request: Request) -> Answer:
        own = before(request)
        if own is not None:
            return own
        path = quote(request.path, safe="/")
        if request.query:
            path += "?" + urlencode(request.query)
        token = request.headers.get("authorization", "").removeprefix("Bearer ") or None
        try:
            body = client.request(url, request.method, path, token, request.body)
        except client.HomeserverError as error:
            return change(request, Answer(error.body, error.status))
        return change(request, Answer(body))

    return ScriptedServer(script)


LOST = Answer(b"<html>bad gateway</html>", 502)
