"""Single sign-on in front of a real homeserver: who comes to log in is this account already."""

from __future__ import annotations

import http.client
from urllib.parse import parse_qs, quote, urlsplit

from tests.support.homeserver import Account, Homeserver
from tests.support.web_server import Answer, Received, WebServer

_REDIRECT = "/_matrix/client/v3/login/sso/redirect"
_KEPT = frozenset({"authorization", "content-type"})


class SingleSignOn(WebServer):
    """Passes all requests on but the one that begins single sign-on."""

    def __init__(self, homeserver: Homeserver, account: Account) -> None:
        super().__init__()
        self.providers: list[str] = []
        self._homeserver = homeserver
        self._account = account

    def respond(self, request: Received) -> Answer:
        """Sends who comes to log in back with a login token."""
        parts = request.parts
        if not parts.path.startswith(_REDIRECT):
            return self._pass_on(request)
        self.providers.append(parts.path.removeprefix(_REDIRECT).strip("/"))
        [back] = parse_qs(parts.query)["redirectUrl"]
        token = quote(self._homeserver.login_token(self._account))
        return Answer(b"", 302, {"Location": f"{back}&loginToken={token}"})

    def _pass_on(self, request: Received) -> Answer:
        there = urlsplit(self._homeserver.url)
        connection = http.client.HTTPConnection(there.hostname or "", there.port)
        headers = {name: value for name, value in request.headers.items() if name in _KEPT}
        try:
            connection.request(request.method, request.target, request.body, headers)
            response = connection.getresponse()
            return Answer(response.read(), response.status)
        finally:
            connection.close()
