"""What can go wrong in a request, as one small tree.

    HttpError
    ├── HttpArgumentError         E_INVALID_ARGUMENT   the request itself cannot be made
    ├── HttpClosedError           E_SHUTDOWN           the client was closed
    ├── HttpConnectionError       E_CONNECTION         no connection, or it broke
    ├── HttpInternalError         E_INTERNAL           a defect of ours
    ├── HttpInvalidResponseError  E_INVALID_RESPONSE   the answer is not HTTP
    ├── HttpProxyError            E_PROXY              the proxy refused or failed
    ├── HttpTimeoutError          E_TIMEOUT            connecting, waiting or reading took too long
    ├── HttpTlsError              E_TLS                certificate not trusted, or TLS failed
    ├── HttpTooLargeError         E_TOO_LARGE          the answer is larger than the limit
    └── HttpTooManyFilesError     E_TOO_MANY_FILES     no file descriptor left

Messages name hosts and ports at most: never a path, a query, a header or a body.
"""

from __future__ import annotations

import os
import socket
import sys
import zlib
from typing import TYPE_CHECKING, ClassVar

from httptools import HttpParserError, HttpParserUpgrade

from libmatrix import descriptors

if TYPE_CHECKING:
    import ssl


class HttpError(Exception):
    """Base of all; `code` is the public error code, `sent` says whether the server may have acted.

    `sent` is False only where it is certain that no byte of the request left this process.
    """

    code: ClassVar[str] = "E_INTERNAL"

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.sent = sent


class HttpArgumentError(HttpError):
    """The URL, a header or a setting cannot be used; nothing was sent."""

    code = "E_INVALID_ARGUMENT"


class HttpClosedError(HttpError):
    """The client was closed before or during the request."""

    code = "E_SHUTDOWN"


class HttpConnectionError(HttpError):
    """The server could not be reached, or the connection broke."""

    code = "E_CONNECTION"


class HttpInternalError(HttpError):
    """An exception nobody expected; the message names its type only."""

    code = "E_INTERNAL"


class HttpInvalidResponseError(HttpError):
    """The server sent something that is not HTTP, or not what it announced."""

    code = "E_INVALID_RESPONSE"


class HttpProxyError(HttpError):
    """The proxy could not be reached, refused, or does not speak its protocol."""

    code = "E_PROXY"


class HttpTimeoutError(HttpError):
    """One of the three limits was reached: connecting, silence, or the whole request."""

    code = "E_TIMEOUT"


class HttpTlsError(HttpError):
    """The certificate is not trusted, or the TLS handshake or a record failed."""

    code = "E_TLS"


class HttpTooLargeError(HttpError):
    """The body is larger than the caller accepts."""

    code = "E_TOO_LARGE"


class HttpTooManyFilesError(HttpError):
    """The process or the system has no file descriptor left."""

    code = "E_TOO_MANY_FILES"


# OpenSSL: self-signed, alone or in the chain; no certificate of the issuer.
_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})


def map_exception(error: BaseException, doing: str, *, sent: bool) -> HttpError:
    """Makes an `HttpError` of whatever the layers below raise; `doing` opens the message."""
    if isinstance(error, HttpError):
        return error
    # Without ssl imported there is none of its errors.
    tls = sys.modules.get("ssl")
    if tls is not None and isinstance(error, tls.SSLError):
        return _map_tls(error, doing, sent)
    if isinstance(error, OSError):
        return _map_os(error, doing, sent)
    if isinstance(error, HttpParserError | HttpParserUpgrade):
        return HttpInvalidResponseError(f"{doing}: the answer is not valid HTTP", sent=sent)
    if isinstance(error, zlib.error):
        return HttpInvalidResponseError(f"{doing}: not valid gzip", sent=sent)
    return HttpInternalError(f"{doing}: unexpected {type(error).__name__}", sent=sent)


def _map_tls(error: ssl.SSLError, doing: str, sent: bool) -> HttpError:
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, "verify_message", "") or "not trusted"
        if getattr(error, "verify_code", 0) in _UNKNOWN_AUTHORITY:
            why += " (the option ca_file names an authority of your own)"
        return HttpTlsError(f"{doing}: certificate refused: {why}", sent=sent)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return HttpConnectionError(f"{doing}: the connection was closed", sent=sent)
    # Only errors that OpenSSL raised itself have these attributes.
    reason = getattr(error, "reason", "") or type(error).__name__
    return HttpTlsError(f"{doing}: TLS failed: {reason}", sent=sent)


def _map_os(error: OSError, doing: str, sent: bool) -> HttpError:
    if error.errno in descriptors.NONE_LEFT:
        return HttpTooManyFilesError(f"{doing}: too many open files", sent=sent)
    if isinstance(error, socket.gaierror):
        # The resolver hides a lack of descriptors behind "temporary failure".
        if descriptors.have_run_out():
            return HttpTooManyFilesError(f"{doing}: too many open files", sent=sent)
        return HttpConnectionError(f"{doing}: {error.strerror}", sent=sent)
    if isinstance(error, TimeoutError):
        return HttpTimeoutError(f"{doing}: timed out", sent=sent)
    reason = os.strerror(error.errno) if error.errno else "the connection was closed"
    return HttpConnectionError(f"{doing}: {reason}", sent=sent)
