"""Proxies: which one a request takes, and how a tunnel through it is opened."""

import asyncio
import base64
import socket
from collections.abc import Mapping
from typing import NamedTuple, cast

from libmatrix.http.errors import HttpArgumentError, HttpError, HttpProxyError, map_exception
from libmatrix.http.url import Origin, split_url

PROXY_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_MAX_REPLY = 16 * 1024

_SOCKS_REFUSALS = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "command not supported",
    8: "address type not supported",
}


class Proxy(NamedTuple):
    """A proxy and how to be let in; `socks5h` resolves names at the proxy, `socks5` here."""

    origin: Origin
    user: bytes | None
    password: bytes

    def __repr__(self) -> str:
        return f"Proxy({self.origin.scheme}://{self.origin.label})"

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS5 and not HTTP."""
        return self.origin.scheme.startswith("socks")

    @property
    def authorization(self) -> dict[str, str]:
        """The header an HTTP proxy wants, if any."""
        if self.user is None:
            return {}
        token = base64.b64encode(self.user + b":" + self.password).decode("ascii")
        return {"Proxy-Authorization": f"Basic {token}"}


def parse_proxy(url: str, what: str = "proxy") -> Proxy:
    """Reads `http://`, `https://`, `socks5://` or `socks5h://`, with `user:password@` if needed."""
    parts = split_url(url, what, PROXY_PORTS)
    if parts.user is None:
        return Proxy(parts.origin, None, b"")
    from urllib.parse import unquote_to_bytes  # costs 2 ms of a cold start

    user, _, password = parts.user.partition(":")
    proxy = Proxy(parts.origin, unquote_to_bytes(user), unquote_to_bytes(password))
    if proxy.is_socks and (len(proxy.user or b"") > 255 or len(proxy.password) > 255):
        raise HttpArgumentError(f"{what}: user or password too long for SOCKS5")
    return proxy


class ProxyRules:
    """Answers which proxy leads to an origin."""

    def __init__(self, proxy: str | None, environment: Mapping[str, str]) -> None:
        """`environment` is empty unless the host asked for its environment; `proxy` wins."""
        self._fixed = parse_proxy(proxy) if proxy else None
        self._by_scheme: dict[str, Proxy] = {}
        self._bypass: list[str] = []
        if self._fixed is None:
            self._read_environment(environment)

    def _read_environment(self, environment: Mapping[str, str]) -> None:
        # HTTP_PROXY in capitals is not heeded where a web server sets it from a client's header.
        names = ["http_proxy"] if "REQUEST_METHOD" in environment else ["http_proxy", "HTTP_PROXY"]
        sources = {"http": names, "https": ["https_proxy", "HTTPS_PROXY"]}
        for scheme, keys in sources.items():
            for key in (*keys, "all_proxy", "ALL_PROXY"):
                value = environment.get(key)
                if value:
                    url = value if "://" in value else f"http://{value}"
                    self._by_scheme[scheme] = parse_proxy(url, key)
                    break
        listed = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        self._bypass = [entry.strip().lower() for entry in listed.split(",") if entry.strip()]

    def proxy_for(self, origin: Origin) -> Proxy | None:
        """The proxy to take, or None to go directly."""
        if self._fixed is not None:
            return self._fixed
        proxy = self._by_scheme.get(origin.scheme)
        if proxy is None or any(_matches(entry, origin) for entry in self._bypass):
            return None
        return proxy


def _matches(entry: str, origin: Origin) -> bool:
    """Whether a NO_PROXY entry covers an origin: `*`, a domain, a host:port, an IP or a network."""
    if entry == "*" or entry in (origin.host, origin.label, f"[{origin.host}]"):
        return True
    if "/" in entry:
        import ipaddress  # only for the few who list networks

        try:
            return ipaddress.ip_address(origin.host) in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    return origin.host.endswith("." + entry.lstrip("*").lstrip("."))


class Greeting(asyncio.Protocol):
    """Talks to a proxy until the tunnel is open; then the real protocol takes over."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._lost: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._received += data
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._lost = exc or ConnectionResetError()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _more(self) -> None:
        if self._lost is not None:
            raise self._lost
        if len(self._received) > _MAX_REPLY:
            raise HttpProxyError("the proxy's answer is too long")
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def _read(self, count: int) -> bytes:
        while len(self._received) < count:
            await self._more()
        data = bytes(self._received[:count])
        del self._received[:count]
        return data

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    async def open_tunnel(self, proxy: Proxy, target: Origin, address: str) -> None:
        """Asks the proxy for a tunnel; `address` is the name or the IP the proxy shall dial."""
        try:
            if proxy.is_socks:
                await self._socks(proxy, target.port, address)
            else:
                await self._connect(proxy, target)
        except HttpError as error:
            raise HttpProxyError(f"proxy {proxy.origin.label}: {error}") from None
        except OSError as error:
            doing = f"proxy {proxy.origin.label}"
            raise HttpProxyError(str(map_exception(error, doing, sent=False))) from None
        if self._received:
            raise HttpProxyError(f"proxy {proxy.origin.label}: spoke before it was asked")

    async def _connect(self, proxy: Proxy, target: Origin) -> None:
        lines = [f"CONNECT {target.label} HTTP/1.1", f"Host: {target.label}"]
        lines += [f"{name}: {value}" for name, value in proxy.authorization.items()]
        self._write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        while b"\r\n\r\n" not in self._received:
            await self._more()
        end = self._received.index(b"\r\n\r\n") + 4
        status_line = bytes(self._received[:end]).split(b"\r\n", 1)[0].split(b" ")
        if not status_line[0].startswith(b"HTTP/1.") or len(status_line) < 2:
            raise HttpProxyError("does not speak HTTP")
        code = status_line[1].decode("latin-1")
        if code == "407":
            raise HttpProxyError("wants other credentials (407)")
        if not (len(code) == 3 and code.isdecimal() and code.startswith("2")):
            raise HttpProxyError(f"refused to connect to {target.label} ({code[:3]})")
        del self._received[:end]

    async def _socks(self, proxy: Proxy, port: int, address: str) -> None:
        methods = b"\x00" if proxy.user is None else b"\x00\x02"
        self._write(b"\x05" + bytes([len(methods)]) + methods)
        version, method = await self._read(2)
        if version != 5:
            raise HttpProxyError("does not speak SOCKS5")
        if method == 2 and proxy.user is not None:
            await self._socks_login(proxy.user, proxy.password)
        elif method != 0:
            raise HttpProxyError("wants another way to log in")
        self._write(b"\x05\x01\x00" + _socks_address(address) + port.to_bytes(2, "big"))
        version, reply, _, kind = await self._read(4)
        if reply:
            raise HttpProxyError(_SOCKS_REFUSALS.get(reply, f"refused ({reply})"))
        length = {1: 4, 4: 16}.get(kind)
        if length is None:
            length = (await self._read(1))[0]
        await self._read(length + 2)

    async def _socks_login(self, user: bytes, password: bytes) -> None:
        self._write(b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password)
        _, status = await self._read(2)
        if status:
            raise HttpProxyError("refused the credentials")


def _socks_address(address: str) -> bytes:
    for kind, family in ((b"\x01", socket.AF_INET), (b"\x04", socket.AF_INET6)):
        try:
            return kind + socket.inet_pton(family, address)
        except OSError:
            continue
    name = address.encode("ascii")
    if len(name) > 255:
        raise HttpProxyError("the host name is too long for SOCKS5")
    return b"\x03" + bytes([len(name)]) + name
