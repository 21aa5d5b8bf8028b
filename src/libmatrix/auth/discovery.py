"""From a server name to its homeserver, as the specification's well-known discovery says.

| the server name's /.well-known/matrix/client | here |
|---|---|
| 404 (IGNORE) | `https://` and the server name is tried, else `E_DISCOVERY_PROMPT` |
| not 200, no JSON, no base URL (FAIL_PROMPT) | `E_DISCOVERY_PROMPT`: ask the user |
| a base URL that is none, or no homeserver (FAIL_ERROR) | `E_DISCOVERY` |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from libmatrix.errors import (
    BROKEN_JSON,
    ArgumentError,
    DiscoveryError,
    MatrixError,
    PromptError,
    ResponseError,
    TransportError,
)

if TYPE_CHECKING:
    from libmatrix.api import Api

_MOST_BYTES = 64 * 1024
_MOST_REDIRECTS = 5
_LONGEST_NAME = 255
_NAME = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?"
)
_LOOPBACK = re.compile(r"http://(?:localhost|127\.0\.0\.1|\[::1\])(?:[:/]|$)")
_ON_THE_WAY = frozenset({"E_CONNECTION", "E_TIMEOUT", "E_PROXY", "E_TOO_MANY_FILES", "E_SHUTDOWN"})
_VERSION = re.compile(r"v1\.[0-9]+|r0\.[0-9]+\.[0-9]+")


def is_url(homeserver: str) -> bool:
    """Whether it is no server name."""
    return "://" in homeserver


def check_base_url(url: str) -> str:
    """The homeserver's URL without a final slash; raises when it is none."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("http", "https"):
        raise ArgumentError("homeserver: not a URL that begins with https:// or http://")
    if not rest.rstrip("/") or any(c in "?#@\\" or c <= " " or c > "~" for c in rest):
        raise ArgumentError("homeserver: not the base URL of a homeserver")
    return url.rstrip("/")


def check_server_name(name: str) -> str:
    """The server name; raises when it is none."""
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise ArgumentError("homeserver: neither a URL nor a server name")
    return name


def is_safe(url: str) -> bool:
    """Whether secrets may go there: TLS, or this very machine."""
    return url.startswith("https://") or _LOOPBACK.match(url) is not None


async def find(api: Api, server_name: str) -> str:
    """The base URL of a server name's homeserver, which has answered."""
    found = await _well_known(api, server_name)
    base_url = found or f"https://{server_name}"
    try:
        await versions(api, base_url)
    except MatrixError as error:
        # What broke on the way may work the next time; no verdict on the server.
        if error.code in _ON_THE_WAY:
            raise
        kind = PromptError if found is None else DiscoveryError
        raise kind(f"{server_name} leads to no homeserver: {error.message}") from None
    return base_url


async def versions(api: Api, base_url: str) -> frozenset[str]:
    """The versions of the specification a homeserver speaks; raises when it is no homeserver."""
    url = f"{base_url}/_matrix/client/versions"
    answer = await api.fetch("GET", url, max_bytes=1024 * 1024)
    try:
        found: Any = msgspec.json.decode(answer.body) if answer.status == 200 else None
    except BROKEN_JSON:
        found = None
    listed = found.get("versions") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ResponseError("no homeserver answers there", http_status=answer.status)
    spoken = frozenset(v for v in listed if isinstance(v, str) and _VERSION.fullmatch(v))
    if not spoken:
        raise ResponseError("the homeserver speaks no version of the specification known here")
    return spoken


async def _well_known(api: Api, server_name: str) -> str | None:
    """The base URL that the server name's own web server gives; None when it has nothing to say."""
    match = _NAME.fullmatch(server_name)
    assert match is not None
    url = f"https://{match['host']}/.well-known/matrix/client"
    try:
        answer = await api.fetch("GET", url, max_bytes=_MOST_BYTES, max_redirects=_MOST_REDIRECTS)
    except TransportError as error:
        if error.code in ("E_TOO_LARGE", "E_INVALID_RESPONSE"):
            raise PromptError(f"{server_name} has no usable answer: {error.message}") from None
        if match["host"] != server_name:
            # Its port is no part of the lookup: an address may have been meant.
            error.message += (
                f" ({server_name} is a server name; a URL begins with https:// or http://)"
            )
        raise
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise PromptError(f"{server_name} answered with HTTP status {answer.status}")
    return _base_url(server_name, answer.body)


def _base_url(server_name: str, body: bytes) -> str:
    try:
        found: Any = msgspec.json.decode(body)
    except BROKEN_JSON:
        raise PromptError(f"{server_name} answered with what is no JSON") from None
    for key in ("m.homeserver", "base_url"):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, str) or not found:
        raise PromptError(f"{server_name} names no homeserver")
    try:
        base_url = check_base_url(found)
    except ArgumentError:
        raise DiscoveryError(f"{server_name} names a homeserver by what is no URL") from None
    if not is_safe(base_url):
        raise DiscoveryError(f"{server_name} names a homeserver without TLS")
    return base_url
