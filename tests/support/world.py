"""Every host of the Web, over TLS, by a proxy that a client is told to use."""

from __future__ import annotations

import json
import select
import socket
import ssl
import threading
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any


def _relay(near: ssl.SSLSocket, where: tuple[str, int]) -> None:
    """Passes on what comes, until one side ends."""
    with socket.create_connection(where) as far:
        while True:
            ready = [near] if near.pending() else select.select([near, far], [], [])[0]
            for source, target in ((near, far), (far, near)):
                if source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    target.sendall(data)


def _target(connection: socket.socket) -> str:
    """Reads the head of a request; gives what it asks for."""
    with connection.makefile("rb", buffering=0) as stream:
        first = stream.readline().decode().split()
        while stream.readline().strip():
            pass
    return first[1] if len(first) > 1 else ""


class World:
    """A proxy behind which all hosts are ours.

    `pages` has what they answer, as JSON, text, or status and headers; `relays` are the hosts that
    stand in front of a real server, by name.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.pages: dict[str, Any] = {}
        self.asked: list[str] = []
        self.relays: dict[str, tuple[str, int]] = {}
        outer = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                host, _, port = _target(self.request).rpartition(":")
                self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                try:
                    inner = tls.wrap_socket(self.request, server_side=True)
                except OSError:
                    return
                name = host if port == "443" else f"{host}:{port}"
                with inner:
                    if name in outer.relays:
                        _relay(inner, outer.relays[name])
                    else:
                        inner.sendall(outer.answer(name, _target(inner)))

        class Server(ThreadingTCPServer):
            daemon_threads = True
            handle_error = lambda *_: None  # noqa: E731

        self._request = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._request.serve_forever, args=(0.01,))

    def answer(self, host: str, path: str) -> bytes:
        self.asked.append(f"{host}{path}")
        page = self.pages.get(f"{host}{path}", (404, {}))
        status, headers = page if isinstance(page, tuple) else (200, {})
        body = b"" if isinstance(page, tuple) else page
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(text)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + text

    def __enter__(self) -> World:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._request.shutdown()
        self._thread.join()
        self._request.server_close()

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self._request.server_address[1]}"
