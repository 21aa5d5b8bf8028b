"""Requests of the client-server API: paths, JSON, errors. The token travels in a header only."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from libmatrix.auth import discovery
from libmatrix.auth.discovery import check_base_url, check_server_name, is_url
from libmatrix.backoff import Backoff, retry_after_ms
from libmatrix.errors import (
    BROKEN_JSON,
    ChallengeError,
    HomeserverError,
    MatrixError,
    NotLoggedInError,
    RenewalError,
    ResponseError,
    TransportError,
    UnknownTokenError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libmatrix.client import Client
    from libmatrix.http.client import Fields, HttpClient, HttpResponse, HttpSettings

T = TypeVar("T")

_PREFIX = "/_matrix/client/v3"
_UNKNOWN_TOKEN = "M_UNKNOWN_TOKEN"
# A busy server is asked again at most so often, and while its pauses are not longer.
_MOST_RETRIES = 4
_LONGEST_PAUSE_MS = 30_000
_BUSY = frozenset({502, 503, 504})
_REPEATABLE = frozenset({"GET", "PUT", "DELETE"})
_LONGEST_MESSAGE = 300
# Before an answer's first bracket.
_MOST_BLANKS = 64
_MOST_FOREIGN_BYTES = 256 * 1024
# Of the token now, with and without a body, of none, and of some before.
_MOST_FIELDS = 8

_encode = msgspec.json.Encoder().encode


class _Refusal(msgspec.Struct):
    """The body of an error answer; fields of the wrong type count as absent."""

    errcode: Any = None
    error: Any = None
    retry_after_ms: Any = None
    soft_logout: Any = None
    flows: Any = None


_decode_refusal = msgspec.json.Decoder(_Refusal).decode


def make_path(*parts: str, prefix: str = _PREFIX) -> str:
    """A path of the client-server API, each part quoted. Not all of it is of version 3."""
    return prefix + "".join(["/" + _quote(part) for part in parts])


def _quote(part: str) -> str:
    return part if part.isascii() and part.isalnum() else _escape(part)


@functools.lru_cache(maxsize=512)
def _escape(part: str) -> str:
    """The same rooms and types come again and again."""
    return quote(part, safe="")


class Api:
    """A client's way to its homeserver."""

    def __init__(self, client: Client, homeserver: str | None) -> None:
        """`homeserver`: a base URL or a server name; None while only a session may say it."""
        self.base_url: str | None = None
        self._server_name = ""
        if homeserver is None:
            pass
        elif is_url(homeserver):
            self.base_url = check_base_url(homeserver)
        else:
            self._server_name = check_server_name(homeserver)
        self._is_checked = False
        self._locating = asyncio.Lock()
        self._client = client
        self._http: HttpClient | None = None
        # By the token, and whether there is a body.
        self._fields: dict[tuple[str | None, bool], Fields] = {}
        self._settings: HttpSettings | None = None
        self._is_closed = False

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
        is_list: bool = False,
    ) -> bytes:
        """One request, its answer's body: a JSON object or, where `is_list`, a list.

        The token is the session's, renewed when it has to be, unless one is given. What one device
        began no other one repeats: transaction ids are a device's own. `wait_ms`: how long the
        server may wait on purpose.
        """
        is_own = with_token and token is None
        device_id = self._client.require_login().device_id if is_own else None
        if query:
            path += "?" + urlencode(query)
        payload = None if body is None else _encode(body)
        retries = Retries(method, _MOST_RETRIES if may_repeat else 0)
        has_renewed = sent = False
        while True:
            try:
                base_url = self.base_url or await self.locate()
                if is_own:
                    token = await self._client.renewal.token()
            except TransportError as error:
                raise _not_this_one(error, sent=sent) from None
            try:
                response = await self._send(method, base_url + path, token, payload, wait_ms)
            except TransportError as error:
                error.sent = error.sent or sent
                raise
            if 200 <= response.status < 300:
                _check_answer(response, is_list)
                return response.body
            refused = refusal(response.status, response.headers, response.body)
            if is_own and token is not None and isinstance(refused, UnknownTokenError):
                await self._renew(token, refused, is_final=has_renewed, sent=sent)
                if device_id not in (None, self._client.session.device_id):
                    raise refused
                has_renewed = True
            else:
                await retries.wait(refused)
                sent = sent or refused.http_status in _BUSY

    async def _renew(
        self, token: str, refused: UnknownTokenError, *, is_final: bool, sent: bool
    ) -> None:
        """Sees to it that there is another token; raises `refused` where there is none."""
        renewal = self._client.renewal
        try:
            found = await renewal.refused(token, is_soft=refused.soft_logout, is_final=is_final)
        except (UnknownTokenError, NotLoggedInError):
            raise
        except TransportError as error:
            raise _not_this_one(error, sent=sent) from None
        except MatrixError as error:
            raise RenewalError(error) from None
        if not found:
            raise refused

    @property
    def knows_homeserver(self) -> bool:
        """Whether there is a base URL, or a name to look up."""
        return bool(self.base_url or self._server_name)

    async def locate(self) -> str:
        """The homeserver's base URL; a server name is looked up once."""
        if self.base_url is None:
            async with self._locating:
                if self.base_url is None:
                    found = await discovery.find(self, self._server_name)
                    self.base_url, self._is_checked = found, True
                    text = f"{self._server_name} is served by {found}"
                    self._client.log.record("info", "session", text)
                    self._client.located(found)
        return self.base_url

    async def check(self) -> None:
        """Makes sure that a homeserver answers before it is told a secret."""
        base_url = await self.locate()
        if not self._is_checked:
            await discovery.versions(self, base_url)
            self._is_checked = True

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int = _MOST_FOREIGN_BYTES,
        max_redirects: int = 0,
    ) -> HttpResponse:
        """A request to any server, without the session's token."""
        return await self._request(
            method,
            url,
            headers=headers,
            body=body,
            max_response_bytes=max_bytes,
            max_redirects=max_redirects,
        )

    async def _send(
        self, method: str, url: str, token: str | None, body: bytes | None, wait_ms: int
    ) -> HttpResponse:
        limit_ms = self._client.options.request_timeout_ms
        return await self._request(
            method,
            url,
            headers=self._fields.get((token, body is not None)) or self._make_fields(token, body),
            body=body,
            # Where there is no limit, a wait on purpose makes none.
            timeout_ms=limit_ms + wait_ms if limit_ms else 0,
            long_poll=wait_ms > 0,
        )

    def _make_fields(self, token: str | None, body: bytes | None) -> Fields:
        """The header fields of all requests with a token, with or without a body."""
        from libmatrix.http.client import Fields

        items = {"Accept": "application/json"}
        if token is not None:
            items["Authorization"] = f"Bearer {token}"
        if body is not None:
            items["Content-Type"] = "application/json"
        if len(self._fields) >= _MOST_FIELDS:
            self._fields.clear()
        try:
            fields = self._fields[token, body is not None] = Fields(items)
        except Exception as error:
            raise _of_transport(error) from None
        return fields

    async def _request(self, method: str, url: str, **how: Any) -> HttpResponse:
        try:
            if self._is_closed:
                return await self._request_late(method, url, **how)
            return await self._connection().request(method, url, **how)
        except Exception as error:
            raise _of_transport(error) from None

    async def _request_late(self, method: str, url: str, **how: Any) -> HttpResponse:
        """One that undoes a login which the close came into; nobody gives back its connection."""
        connections, settings = self._client.host.connections, self._make_settings()
        http = connections.acquire(settings)
        try:
            return await http.request(method, url, **how)
        finally:
            connections.release(settings)

    def _connection(self) -> HttpClient:
        if self._http is None:
            self._settings = self._make_settings()
            self._http = self._client.host.connections.acquire(self._settings)
            self._client.log.record("debug", "http", f"trusting {self._http.trust}")
        return self._http

    def _make_settings(self) -> HttpSettings:
        from libmatrix.http.client import HttpSettings

        options = self._client.options
        return HttpSettings(
            ca_file=options.ca_file,
            proxy=options.proxy,
            user_agent=options.user_agent or "libmatrix",
            connect_timeout_ms=options.connect_timeout_ms,
            request_timeout_ms=options.request_timeout_ms,
            max_response_bytes=options.max_response_bytes,
            use_environment=options.use_environment,
        )

    def close(self) -> None:
        """Gives the connections back."""
        self._is_closed = True
        if self._http is not None and self._settings is not None:
            self._client.host.connections.release(self._settings)
            self._http = None
        self._fields.clear()


class Retries:
    """Whether and when a request that was turned away is made again."""

    def __init__(self, method: str, most: int = _MOST_RETRIES) -> None:
        self._method = method
        self._most = most
        self._backoff = Backoff(500, 5_000)

    async def wait(self, error: MatrixError) -> None:
        """Waits for the next attempt; raises the error where there is none."""
        pause_ms = self.pause_ms(error)
        if pause_ms is None:
            raise error
        await asyncio.sleep(pause_ms / 1000)

    def pause_ms(self, error: MatrixError) -> int | None:
        """How long to wait before the next attempt; None to give up."""
        status = error.http_status
        # 429 says that nothing was done; a PUT carries what makes the server take it once.
        is_busy = status == 429 or (status in _BUSY and self._method in _REPEATABLE)
        if not is_busy or self._backoff.failures >= self._most:
            return None
        if (error.retry_after_ms or 0) > _LONGEST_PAUSE_MS:
            return None
        return self._backoff.failed(error.retry_after_ms)


def _of_transport(error: Exception) -> Exception:
    """The error that an error of HTTP is; others as they are."""
    from libmatrix.http.client import HttpError

    if not isinstance(error, HttpError):
        return error
    return TransportError(error.message, code=error.code, sent=error.sent)


def _not_this_one(error: TransportError, *, sent: bool) -> TransportError:
    """The failure of another request that this one needed; `sent` is about this one."""
    return TransportError(error.message, code=error.code, sent=sent)


def _check_answer(response: HttpResponse, is_list: bool) -> None:
    """A proxy's page that says to come back later is no answer, and must not count as an empty one.

    Raises `ResponseError`.
    """
    body, bracket = response.body, b"[" if is_list else b"{"
    if body[:1] != bracket and body[:_MOST_BLANKS].lstrip()[:1] != bracket:
        kind = "list" if is_list else "object"
        text = f"the homeserver's answer is no JSON {kind}"
        raise ResponseError(text, http_status=response.status)


def decode(body: bytes, answer: type[T]) -> T:
    """An answer's body as a struct. The error names the place, no values."""
    try:
        return msgspec.json.decode(body, type=answer)
    except BROKEN_JSON as error:
        text = str(error) if isinstance(error, msgspec.MsgspecError) else "not valid JSON"
        raise ResponseError(f"the homeserver's answer: {text}") from None


def refusal(status: int, headers: dict[str, str], body: bytes) -> MatrixError:
    """The error an answer stands for."""
    try:
        found = _decode_refusal(body)
    except BROKEN_JSON:
        found = _Refusal()
    retry = retry_after_ms(headers, found.retry_after_ms)
    code = found.errcode
    if status == 401 and isinstance(found.flows, list):
        challenge = ChallengeError("the homeserver wants to know more", http_status=status)
        challenge.challenge = body
        return challenge
    if not isinstance(code, str) or not code or len(code) > 100 or code.startswith("E_"):
        return ResponseError(
            f"HTTP status {status} without a Matrix error", http_status=status, retry_after_ms=retry
        )
    text = found.error if isinstance(found.error, str) and found.error else code
    text = " ".join(text.split())[:_LONGEST_MESSAGE]
    if (status, code) != (401, _UNKNOWN_TOKEN):
        return HomeserverError(text, code=code, http_status=status, retry_after_ms=retry)
    ended = UnknownTokenError(text, code=code, http_status=status, retry_after_ms=retry)
    ended.soft_logout = found.soft_logout is True
    return ended
