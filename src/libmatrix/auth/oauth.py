"""OAuth 2.0 as the specification has it: register, get tokens, renew, revoke."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

import msgspec

from libmatrix.api import decode, make_path
from libmatrix.auth.login import begin, wanted_device
from libmatrix.auth.oauth_metadata import CODE_GRANT, DEVICE_GRANT, REFRESH_GRANT, Metadata, fetch
from libmatrix.auth.renewal import Grant
from libmatrix.auth.session import Hidden, OAuth, Session, expiry
from libmatrix.errors import (
    BROKEN_JSON,
    ArgumentError,
    MatrixError,
    OAuthError,
    ResponseError,
    TokenEndedError,
)

if TYPE_CHECKING:
    from libmatrix.client import Client

T = TypeVar("T")

REDIRECT = "http://127.0.0.1/"
_API_SCOPE = "urn:matrix:client:api:*"
_DEVICE_SCOPE = "urn:matrix:client:device:"
_DEVICE_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_UNRESERVED = frozenset("-._~0123456789" + _DEVICE_LETTERS + _DEVICE_LETTERS.lower())
_MOST_SECONDS = 10 * 365 * 86_400


class OAuthRefusalError(OAuthError):
    """The authorization server said no, with a code of its own."""

    def __init__(self, error: str, description: str, **more: Any) -> None:
        super().__init__(f"{error}: {description}" if description else error, **more)
        self.error = error


class _Refusal(msgspec.Struct):
    error: Any = None
    error_description: Any = None


class _Tokens(Hidden):
    access_token: str
    token_type: str
    refresh_token: str | None = None
    expires_in: int | None = None
    scope: str | None = None


class _Registered(msgspec.Struct):
    client_id: str


class _Whoami(msgspec.Struct):
    user_id: str
    device_id: str | None = None


# -- requests to the authorization server ---------------------------------------------------------


async def ask(client: Client, url: str, answer: type[T], fields: dict[str, str]) -> T:
    """POSTs a form and decodes what comes back; redirects are not followed."""
    return await _post(
        client, url, answer, urlencode(fields).encode(), "application/x-www-form-urlencoded"
    )


async def _post(client: Client, url: str, answer: type[T], body: bytes, kind: str) -> T:
    headers = {"Content-Type": kind, "Accept": "application/json"}
    response = await client.api.fetch("POST", url, headers=headers, body=body)
    if not 200 <= response.status < 300:
        raise refusal(response.status, response.body)
    try:
        return decode(response.body or b"{}", answer)
    except ResponseError:
        # Says nothing of the body, which may hold tokens.
        raise OAuthError("the authorization server's answer is not what it should be") from None


def refusal(status: int, body: bytes) -> MatrixError:
    """The error that an answer of the authorization server stands for."""
    try:
        found = msgspec.json.decode(body, type=_Refusal)
    except BROKEN_JSON:
        found = _Refusal()
    if not isinstance(found.error, str) or not found.error:
        return OAuthError(f"the authorization server answered {status}", http_status=status)
    return OAuthRefusalError(_line(found.error), _line(found.error_description), http_status=status)


def browser_refusal(fields: dict[str, str]) -> OAuthRefusalError:
    """The error that the browser brought back."""
    return OAuthRefusalError(_line(fields.get("error")), _line(fields.get("error_description")))


def _line(text: object) -> str:
    printable = (
        "".join(c if c.isprintable() else " " for c in text) if isinstance(text, str) else ""
    )
    return " ".join(printable.split())[:200]


# -- logging in -----------------------------------------------------------------------------------


async def register(client: Client, metadata: Metadata, name: str | None, uri: str | None) -> str:
    """Makes the program known to the authorization server; gives its client id.

    Raises `ArgumentError` and `OAuthError`.
    """
    known = client.session.oauth
    if known is not None and known.issuer == metadata.issuer:
        return known.client_id
    if uri is None or not uri.startswith("https://"):
        raise ArgumentError("client_uri: an https URL is needed, or client_id")
    if metadata.registration_endpoint is None:
        raise OAuthError("the authorization server registers no clients; client_id is needed")
    body = {
        "client_name": name or client.options.user_agent or "libmatrix",
        "client_uri": uri,
        "application_type": "native",
        "redirect_uris": [REDIRECT],
        "response_types": ["code"],
        "grant_types": [
            g
            for g in (CODE_GRANT, REFRESH_GRANT, DEVICE_GRANT)
            if g != DEVICE_GRANT or g in metadata.grant_types_supported
        ],
        "token_endpoint_auth_method": "none",
    }
    text = msgspec.json.encode(body)
    kind = "application/json"
    made = await _post(client, metadata.registration_endpoint, _Registered, text, kind)
    if not made.client_id:
        raise OAuthError("the authorization server gave no client id")
    return made.client_id


def choose_device(client: Client, device_id: str | None) -> str:
    """The device that the session will be; the client makes it up, not the homeserver.

    Raises `ArgumentError`.
    """
    chosen = wanted_device(client, device_id)
    if chosen is None:
        return "".join(secrets.choice(_DEVICE_LETTERS) for _ in range(12))
    if not chosen or not _UNRESERVED.issuperset(chosen):
        raise ArgumentError("device_id: OAuth 2.0 allows letters, digits and -._~ only")
    return chosen


def scope(device_id: str) -> str:
    """What the session may do: everything a client does, as this device."""
    return f"{_API_SCOPE} {_DEVICE_SCOPE}{device_id}"


async def log_in(
    client: Client, metadata: Metadata, device_id: str, fields: dict[str, str]
) -> Session:
    """Gets the first tokens and begins the session. Raises `OAuthError`."""
    tokens = await _tokens(client, metadata, fields)
    session = Session(
        device_id=device_id,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token or None,
        expires_at_ms=expiry(_milliseconds(tokens.expires_in)),
        homeserver=client.api.base_url,
        oauth=OAuth(issuer=metadata.issuer, client_id=fields["client_id"]),
    )
    try:
        if tokens.scope is not None and f"{_DEVICE_SCOPE}{device_id}" not in tokens.scope.split():
            raise OAuthError("the tokens are for another device")
        path, token = make_path("account", "whoami"), tokens.access_token
        whoami = decode(await client.api.call("GET", path, token=token), _Whoami)
        if not whoami.user_id.startswith("@") or whoami.device_id not in (None, device_id):
            raise OAuthError("the homeserver knows the tokens as somebody else's")
    except BaseException:
        await _undo(client, session)
        raise
    return await begin(client, msgspec.structs.replace(session, user_id=whoami.user_id))


async def _undo(client: Client, session: Session) -> None:
    from libmatrix.auth.login import end

    await end(client, session)


async def _tokens(client: Client, metadata: Metadata, fields: dict[str, str]) -> _Tokens:
    tokens = await ask(client, metadata.token_endpoint, _Tokens, fields)
    if tokens.token_type.lower() != "bearer":
        raise OAuthError("the authorization server gave tokens of an unknown kind")
    for token in (tokens.access_token, tokens.refresh_token or "-"):
        if not token or len(token) > 16_384 or not all("!" <= c <= "~" for c in token):
            raise OAuthError("the authorization server gave what is not a token")
    return tokens


def _milliseconds(seconds: int | None) -> int | None:
    return seconds * 1000 if seconds is not None and 0 < seconds < _MOST_SECONDS else None


# -- afterwards -----------------------------------------------------------------------------------


async def refresh(client: Client, session: Session) -> Grant:
    """New tokens; `TokenEndedError` when there will be none."""
    assert session.oauth is not None and session.refresh_token is not None
    fields = {
        "grant_type": REFRESH_GRANT,
        "refresh_token": session.refresh_token,
        "client_id": session.oauth.client_id,
    }
    metadata = await _metadata_of(client, session.oauth)
    try:
        tokens = await _tokens(client, metadata, fields)
    except OAuthRefusalError as error:
        if error.error in ("invalid_grant", "invalid_client", "unauthorized_client"):
            raise TokenEndedError(error.message, code=error.code, is_soft=True) from None
        raise
    return Grant(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token or None,
        expires_in_ms=_milliseconds(tokens.expires_in),
    )


async def revoke(client: Client, session: Session) -> None:
    """Ends the session: without its tokens the authorization server removes the device.

    Raises `OAuthError`.
    """
    assert session.oauth is not None
    metadata = await _metadata_of(client, session.oauth)
    if metadata.revocation_endpoint is None:
        raise OAuthError("the authorization server cannot revoke; local_only forgets the session")
    for hint in ("refresh_token", "access_token"):
        token = getattr(session, hint)
        if token is not None:
            client_id = session.oauth.client_id
            fields = {"token": token, "token_type_hint": hint, "client_id": client_id}
            await ask(client, metadata.revocation_endpoint, msgspec.Raw, fields)


async def _metadata_of(client: Client, oauth: OAuth) -> Metadata:
    metadata = await fetch(client)
    if metadata.issuer != oauth.issuer:
        # Its tokens are nobody else's business.
        raise OAuthError("the homeserver has another authorization server than before")
    return metadata
