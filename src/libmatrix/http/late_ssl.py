"""TLS when it is needed: `import ssl` costs 6 ms and 7 MB, and many a homeserver is plain HTTP.

asyncio imports ssl with itself if it can. So it is told that there is none, and is given it when
the first TLS connection is made. OpenSSL is prepared before any extension that links it loads.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

# asyncio has a buffer for each connection, filled with zeros: of 256 KiB, most of what a client
# that only waits would cost.
_BUFFER = 32 * 1024
# The extensions that link libcrypto.
_LINKED = frozenset({"_ssl", "_hashlib"})


class _Guard:
    """A finder of modules that only looks on."""

    def __init__(self, prepare: Callable[[], None]) -> None:
        self._prepare = prepare

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Prepares OpenSSL when it is about to be loaded; others find the module."""
        if name in _LINKED:
            self._prepare()


def install(prepare: Callable[[], None]) -> None:
    """Imports asyncio without ssl; `prepare` runs before OpenSSL is loaded."""
    sys.meta_path.insert(0, _Guard(prepare))
    sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        importlib.import_module("asyncio")
    finally:
        del sys.modules["ssl"]


def enable() -> None:
    """From here on asyncio can do TLS."""
    from asyncio import base_events, selector_events, sslproto

    if getattr(sslproto, "ssl", None) is None:
        ssl = importlib.import_module("ssl")
        # Its classes are only ever reached through the module.
        importlib.reload(sslproto)
        sslproto.SSLProtocol.max_size = _BUFFER
        base_events.ssl = selector_events.ssl = ssl  # type: ignore[attr-defined]
