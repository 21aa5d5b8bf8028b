"""Requests of the client-server API: paths, JSON, errors. The token travels in a header only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from libmatrix.errors import (
    ArgumentError,
    HomeserverError,
    MatrixError,
    ResponseError,
    TransportError,
    UnknownTokenError,
)
from libmatrix.tasks import in_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libmatrix.client import Client
    from libmatrix.http import HttpClient, HttpResponse, HttpSettings

T = TypeVar("T")

_PREFIX = "/_matrix/client/v3"
_UNKNOWN_TOKEN = "M_UNKNOWN_TOKEN"
_LONGEST_WAIT_MS = 24 * 3_600_000
_LONGEST_MESSAGE = 300

_encode = msgspec.json.Encoder().encode


class _Refusal(msgspec.Struct):
    """The body of an error answer; fields of the wrong type count as absent."""

    errcode: Any = None
    error: Any = None
    retry_after_ms: Any = None
    soft_logout: Any = None


_decode_refusal = msgspec.json.Decoder(_Refusal).decode


def check_base_url(url: str) -> str:
    """The homeserver's URL without a final slash; raises when it is none."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("http", "https"):
        raise ArgumentError("homeserver: not a URL that begins with https:// or http://")
    if not rest.rstrip("/") or any(c in "?#@\\" or c <= " " or c > "~" for c in rest):
        raise ArgumentError("homeserver: not the base URL of a homeserver")
    return url.rstrip("/")


def make_path(*parts: str) -> str:
    """A path of the client-server API, each part quoted."""
    return _PREFIX + "".join("/" + quote(part, safe="") for part in parts)


class Api:
    """A client's way to its homeserver."""

    def __init__(self, client: Client, base_url: str) -> None:
        self.base_url = base_url
        self._client = client
        self._http: HttpClient | None = None
        self._settings: HttpSettings | None = None

    async def get(self, answer: type[T], path: str) -> T:
        """GETs with the session's token."""
        return decode(await self.call("GET", path), answer)

    async def post(self, answer: type[T], path: str, body: Any) -> T:
        """POSTs JSON with the session's token."""
        return decode(await self.call("POST", path, body=body), answer)

    async def put(self, answer: type[T], path: str, body: Any) -> T:
        """PUTs JSON with the session's token."""
        return decode(await self.call("PUT", path, body=body), answer)

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Any = None,
        token: str | None = None,
        with_token: bool = True,
        wait_ms: int = 0,
    ) -> bytes:
        """One request, its answer's body. `wait_ms`: how long the server may wait on purpose."""
        if with_token and token is None:
            token = self._client.require_login().access_token
        await in_task()
        headers = {"Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        url = self.base_url + path + ("?" + urlencode(query) if query else "")
        payload = None if body is None else _encode(body)
        response = await self._send(method, url, headers, payload, wait_ms)
        if 200 <= response.status < 300:
            return response.body
        error = refusal(response.status, response.headers, response.body)
        if isinstance(error, UnknownTokenError) and token == self._client.session.access_token:
            self._client.token_refused()
        raise error

    async def _send(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, wait_ms: int
    ) -> HttpResponse:
        from libmatrix.http import HttpError

        try:
            return await self._connection().request(
                method,
                url,
                headers=headers,
                body=body,
                timeout_ms=self._client.options.request_timeout_ms + wait_ms,
                long_poll=wait_ms > 0,
            )
        except HttpError as error:
            raise TransportError(error.message, code=error.code) from None

    def _connection(self) -> HttpClient:
        if self._http is None:
            from libmatrix.http import HttpSettings

            options = self._client.options
            self._settings = HttpSettings(
                ca_file=options.ca_file,
                proxy=options.proxy,
                user_agent=options.user_agent or "libmatrix",
                connect_timeout_ms=options.connect_timeout_ms,
                request_timeout_ms=options.request_timeout_ms,
                max_response_bytes=options.max_response_bytes,
                use_environment=options.use_environment,
            )
            self._http = self._client.host.connections.acquire(self._settings)
            self._client.log.record("debug", "http", f"trusting {self._http.trust}")
        return self._http

    def close(self) -> None:
        """Gives the connections back."""
        if self._http is not None and self._settings is not None:
            self._client.host.connections.release(self._settings)
            self._http = None


def decode(body: bytes, answer: type[T]) -> T:
    """An answer's body as a struct. The error names the place, no values."""
    try:
        return msgspec.json.decode(body, type=answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        text = str(error) if isinstance(error, msgspec.MsgspecError) else "not valid JSON"
        raise ResponseError(f"the homeserver's answer: {text}") from None


def refusal(status: int, headers: dict[str, str], body: bytes) -> MatrixError:
    """The error an answer stands for."""
    try:
        found = _decode_refusal(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = _Refusal()
    retry = _retry_after(headers, found.retry_after_ms)
    code = found.errcode
    if not isinstance(code, str) or not code or len(code) > 100 or code.startswith("E_"):
        return ResponseError(
            f"HTTP status {status} without a Matrix error", http_status=status, retry_after_ms=retry
        )
    text = found.error if isinstance(found.error, str) and found.error else code
    text = " ".join(text.split())[:_LONGEST_MESSAGE]
    kind = UnknownTokenError if (status, code) == (401, _UNKNOWN_TOKEN) else HomeserverError
    return kind(text, code=code, http_status=status, retry_after_ms=retry)


def _retry_after(headers: dict[str, str], field: object) -> int | None:
    """The header in seconds counts before the older field in ms."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(int(text) * 1000, _LONGEST_WAIT_MS)
    if isinstance(field, int | float) and not isinstance(field, bool) and field >= 0:
        return min(int(field), _LONGEST_WAIT_MS)
    return None
