"""Which certificate authorities are trusted: `ca_file`, else the system's, else certifi's."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from libmatrix.descriptors import NONE_LEFT
from libmatrix.http import late_ssl
from libmatrix.http.errors import HttpArgumentError, HttpTlsError

if TYPE_CHECKING:
    import ssl

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/cacert.pem",
)


class Trust(NamedTuple):
    """Where the authorities come from; `str()` is what the log says."""

    source: str
    file: str | None
    directory: str | None = None

    def __str__(self) -> str:
        return f"{self.source}: {self.file or self.directory}"


def find_trust(ca_file: str | None, environment: Mapping[str, str]) -> Trust:
    """Decides the trust; `environment` is empty unless the host asked for its environment."""
    if ca_file is not None:
        return Trust("ca_file", ca_file)
    file = environment.get("SSL_CERT_FILE") or None
    directory = environment.get("SSL_CERT_DIR") or None
    if file or directory:
        return Trust("environment", file, directory)
    for path in SYSTEM_BUNDLES:
        if Path(path).is_file():
            return Trust("system", path)
    import certifi  # only machines without a bundle of their own need it

    return Trust("certifi", certifi.where())


def check_ca_file(path: str) -> None:
    """Refuses a `ca_file` that cannot be read, before anything depends on it."""
    if not os.access(path, os.R_OK) or not Path(path).is_file():
        raise HttpArgumentError("ca_file: no such file, or not readable")


def tls_context(trust: Trust) -> ssl.SSLContext:
    """The TLS context of a trust, shared by all clients that have the same one."""
    return _context(trust, _stamp(trust))


def _stamp(trust: Trust) -> tuple[int, int] | None:
    """Tells a replaced CA file from the one already loaded."""
    if trust.file is None:
        return None
    try:
        found = os.stat(trust.file)
    except OSError as error:
        raise HttpArgumentError(f"{trust}: {os.strerror(error.errno or 0)}") from None
    return found.st_mtime_ns, found.st_size


@functools.lru_cache(maxsize=16)
def _context(trust: Trust, _stamp: tuple[int, int] | None) -> ssl.SSLContext:
    late_ssl.enable()
    import ssl

    # Not create_default_context(): it heeds SSLKEYLOGFILE of the host's environment.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_verify_locations(trust.file, trust.directory)
    except ssl.SSLError:
        raise HttpTlsError(f"{trust}: holds no certificate in PEM form") from None
    except OSError as error:
        if error.errno in NONE_LEFT:
            raise  # says nothing about the file
        raise HttpArgumentError(f"{trust}: {os.strerror(error.errno or 0)}") from None
    return context
