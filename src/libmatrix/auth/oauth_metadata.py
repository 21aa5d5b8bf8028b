"""What a homeserver's authorization server says of itself, and nothing that must not be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from libmatrix.api import decode
from libmatrix.auth.discovery import is_safe
from libmatrix.errors import OAuthError

if TYPE_CHECKING:
    from libmatrix.client import Client

_PATH = "/_matrix/client/v1/auth_metadata"
_LONGEST_URL = 2048
CODE_GRANT = "authorization_code"
REFRESH_GRANT = "refresh_token"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Metadata(msgspec.Struct, kw_only=True):
    """The part of RFC 8414 that counts here."""

    issuer: str
    token_endpoint: str
    authorization_endpoint: str | None = None
    registration_endpoint: str | None = None
    revocation_endpoint: str | None = None
    device_authorization_endpoint: str | None = None
    grant_types_supported: tuple[str, ...] = (CODE_GRANT,)
    response_types_supported: tuple[str, ...] = ()
    response_modes_supported: tuple[str, ...] = ("query", "fragment")
    code_challenge_methods_supported: tuple[str, ...] = ()


async def fetch(client: Client) -> Metadata:
    """Asks the homeserver; every URL in the answer may be used."""
    found = decode(await client.api.call("GET", _PATH, with_token=False), Metadata)
    check_url(found.issuer, "issuer")
    for name in (
        "token_endpoint",
        "authorization_endpoint",
        "registration_endpoint",
        "revocation_endpoint",
        "device_authorization_endpoint",
    ):
        url = getattr(found, name)
        if url is not None:
            check_url(url, name)
    return found


def check_url(url: str, what: str) -> str:
    """The URL, if secrets may go there; a message never repeats it. Raises `OAuthError`."""
    from libmatrix.http.errors import HttpArgumentError
    from libmatrix.http.url import split_url

    try:
        parts = split_url(url)
    except HttpArgumentError:
        raise OAuthError(f"{what}: not a URL") from None
    if parts.user is not None or "#" in url or len(url) > _LONGEST_URL:
        raise OAuthError(f"{what}: not a URL to use")
    if not is_safe(url):
        raise OAuthError(f"{what}: a URL without TLS")
    return url


def check_code_flow(metadata: Metadata) -> str:
    """The authorization endpoint, if the server can do the flow with PKCE. Raises `OAuthError`."""
    if metadata.authorization_endpoint is None or CODE_GRANT not in metadata.grant_types_supported:
        raise OAuthError("the authorization server knows no authorization code flow")
    if "S256" not in metadata.code_challenge_methods_supported:
        raise OAuthError("the authorization server does not support PKCE with S256")
    if metadata.response_types_supported and "code" not in metadata.response_types_supported:
        raise OAuthError("the authorization server gives no codes")
    if "query" not in metadata.response_modes_supported:
        raise OAuthError("the authorization server cannot answer in the query")
    return metadata.authorization_endpoint


def check_device_flow(metadata: Metadata) -> str:
    """The device authorization endpoint, if the server has that flow. Raises `OAuthError`."""
    endpoint = metadata.device_authorization_endpoint
    if endpoint is None or DEVICE_GRANT not in metadata.grant_types_supported:
        raise OAuthError("the authorization server knows no device authorization")
    return endpoint
