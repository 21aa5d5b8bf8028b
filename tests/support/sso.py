"""Single sign-on in front of a real homeserver: who comes to log in is this account already."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

from tests.support.homeserver import Account, Homeserver

_REDIRECT = "/_matrix/client/v3/login/sso/redirect"


class SingleSignOn:
    """Passes all requests on but the one that begins single sign-on."""

    def __init__(self, homeserver: Homeserver, account: Account) -> None:
        self.providers: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                parts = urlsplit(self.path)
                if parts.path.startswith(_REDIRECT):
                    outer.providers.append(parts.path.removeprefix(_REDIRECT).strip("/"))
                    [back] = parse_qs(parts.query)["redirectUrl"]
                    token = quote(homeserver.login_token(account))
                    self.send_response(302)
                    self.send_header("Location", f"{back}&loginToken={token}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                status, body = self._pass_on()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _pass_on(self) -> tuple[int, bytes]:
                size = int(self.headers.get("Content-Length") or 0)
                there = urlsplit(homeserver.url)
                connection = http.client.HTTPConnection(there.hostname or "", there.port)
                kept = ("Authorization", "Content-Type")
                headers = {name: self.headers[name] for name in kept if name in self.headers}
                try:
                    connection.request(self.command, self.path, self.rfile.read(size), headers)
                    response = connection.getresponse()
                    return response.status, response.read()
                finally:
                    connection.close()

            do_GET = do_POST = _answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> SingleSignOn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
