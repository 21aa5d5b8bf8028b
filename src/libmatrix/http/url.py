"""URLs, taken apart so strictly that nothing is smuggled."""

import functools
import re
from collections.abc import Mapping
from typing import NamedTuple

from libmatrix.http.errors import HttpArgumentError

DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+]*)://"
    r"(?:(?P<user>[^@/?#\s]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+(?:%[0-9A-Za-z._~-]+)?\]|[^\[\]@:/?#\s\x00-\x1f\x7f%\\]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>[/?][!-\"$-~]*)?"
    r"(?:#[!-~]*)?"
)
_PATH = re.compile(r"/[!-\"$-~]*")


class Origin(NamedTuple):
    """Where a connection leads: scheme, host without brackets, port."""

    scheme: str
    host: str
    port: int

    @property
    def label(self) -> str:
        """The `host:port` of messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if DEFAULT_PORTS.get(self.scheme) == self.port else f"{host}:{self.port}"


class Url(NamedTuple):
    """A URL in the parts a request needs; `target` is path and query."""

    origin: Origin
    target: str
    user: str | None


def split_url(url: str, what: str = "url", schemes: Mapping[str, int] = DEFAULT_PORTS) -> Url:
    """Splits an absolute URL; refuses what is not one without repeating it."""
    match = _URL.fullmatch(url)
    if match is None:
        raise HttpArgumentError(f"{what}: not an absolute URL, or characters that need escaping")
    scheme = match["scheme"].lower()
    if scheme not in schemes:
        raise HttpArgumentError(f"{what}: scheme must be one of {', '.join(schemes)}")
    port = int(match["port"]) if match["port"] else schemes[scheme]
    if not 0 < port < 65536:
        raise HttpArgumentError(f"{what}: port out of range")
    target = match["target"] or "/"
    if target[0] == "?":
        target = f"/{target}"
    return Url(Origin(scheme, _host(match["host"], what), port), target, match["user"])


def _host(host: str, what: str) -> str:
    if host[0] == "[":
        return host[1:-1].lower()
    if host.isascii():
        return host.lower()
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise HttpArgumentError(f"{what}: not a valid host name") from None


@functools.lru_cache(maxsize=256)
def _split_base(base: str) -> Url:
    """The part before the path, which is the same in thousands of requests."""
    return split_url(base)


def check_request_url(url: str) -> Url:
    """Splits the URL of a request, which carries neither credentials nor a token."""
    start = url.find("/", url.find("://") + 3)
    if start < 0 or not _PATH.fullmatch(url, start):
        parts = split_url(url)
    else:
        base = _split_base(url[:start])
        parts = Url(base.origin, url[start:], base.user)
    if parts.user is not None:
        raise HttpArgumentError("url: credentials belong in the Authorization header")
    if "access_token=" in parts.target:
        raise HttpArgumentError("url: access tokens belong in the Authorization header")
    return parts
