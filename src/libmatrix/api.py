"""Requests of the client-server API: paths, JSON, errors. The token travels in a header only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from libmatrix.backoff import Backoff, retry_after_ms
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
# A busy server is asked again at most so often, and while its pauses are not longer.
_MOST_RETRIES = 4
_LONGEST_PAUSE_MS = 30_000
_BUSY = frozenset({502, 503, 504})
_REPEATABLE = frozenset({"GET", "PUT", "DELETE"})
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
        may_repeat: bool = True,
    ) -> bytes:
        """One request, its answer's body. `wait_ms`: how long the server may wait on purpose.

        With `may_repeat` it is made again, a few times, when the server was only too busy.
        """
        url = self.base_url + path + ("?" + urlencode(query) if query else "")
        is_own = with_token and token is None
        retries = Retries(method) if may_repeat else None
        has_new_token = False
        while True:
            if is_own:
                token = self._client.require_login().access_token
            await in_task()
            try:
                return await self._attempt(method, url, token, body, wait_ms)
            except UnknownTokenError:
                if token is None or not is_own or has_new_token or not await self._renewed(token):
                    raise
                has_new_token = True
            except MatrixError as error:
                pause_ms = retries.pause_ms(error) if retries is not None else None
                if pause_ms is None:
                    raise
                await asyncio.sleep(pause_ms / 1000)

    async def _renewed(self, refused: str) -> bool:
        """Whether there is another token than the one that was refused."""
        client = self._client
        if client.session.access_token == refused and not await client.reauthorize():
            if client.session.access_token == refused:
                client.token_refused()
            return False
        return client.session.is_logged_in

    async def _attempt(
        self, method: str, url: str, token: str | None, body: Any, wait_ms: int
    ) -> bytes:
        headers = {"Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        payload = None if body is None else _encode(body)
        response = await self._send(method, url, headers, payload, wait_ms)
        if 200 <= response.status < 300:
            return response.body
        raise refusal(response.status, response.headers, response.body)

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


class Retries:
    """Whether and when a request that was turned away is made again."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._backoff = Backoff(500, 5_000)

    def pause_ms(self, error: MatrixError) -> int | None:
        """How long to wait before the next attempt; None to give up."""
        status = error.http_status
        # 429 says that nothing was done; a PUT carries what makes the server take it once.
        is_busy = status == 429 or (status in _BUSY and self._method in _REPEATABLE)
        if not is_busy or self._backoff.failures >= _MOST_RETRIES:
            return None
        if (error.retry_after_ms or 0) > _LONGEST_PAUSE_MS:
            return None
        return self._backoff.failed(error.retry_after_ms)


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
    retry = retry_after_ms(headers, found.retry_after_ms)
    code = found.errcode
    if not isinstance(code, str) or not code or len(code) > 100 or code.startswith("E_"):
        return ResponseError(
            f"HTTP status {status} without a Matrix error", http_status=status, retry_after_ms=retry
        )
    text = found.error if isinstance(found.error, str) and found.error else code
    text = " ".join(text.split())[:_LONGEST_MESSAGE]
    kind = UnknownTokenError if (status, code) == (401, _UNKNOWN_TOKEN) else HomeserverError
    error = kind(text, code=code, http_status=status, retry_after_ms=retry)
    if isinstance(error, UnknownTokenError):
        error.soft_logout = found.soft_logout is True
    return error
