"""Plain requests to a homeserver, to prepare and check what the library is tested with."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]


class HomeserverError(Exception):
    """The server's answer was no: `status`, `code` (`M_…`) and the whole `body`."""

    def __init__(self, status: int, body: Json) -> None:
        self.status = status
        self.code = str(body.get("errcode", ""))
        self.body = body
        super().__init__(f"{status} {self.code} {body.get('error', '')}".strip())


def request(
    base_url: str,
    method: str,
    path: str,
    token: str | None = None,
    body: Json | None = None,
    *,
    ca_file: str | None = None,
    timeout: float = 60.0,
) -> Json:
    """One request, its own connection, no proxy; raises `HomeserverError` unless it is a 2xx."""
    connection = _connect(base_url, ca_file, timeout)
    headers = {"Connection": "close"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    payload = None
    if body is not None:
        payload = json.dumps(body)
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, path, payload, headers)
        response = connection.getresponse()
        answer = _decode(response.read())
    finally:
        connection.close()
    if not 200 <= response.status < 300:
        raise HomeserverError(response.status, answer)
    return answer


def _connect(base_url: str, ca_file: str | None, timeout: float) -> http.client.HTTPConnection:
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file or None)
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
    return http.client.HTTPConnection(host, parts.port, timeout=timeout)


def _decode(text: bytes) -> Json:
    try:
        answer = json.loads(text)
    except ValueError:
        return {"error": text[:200].decode(errors="replace")}
    return answer if isinstance(answer, dict) else {"value": answer}
