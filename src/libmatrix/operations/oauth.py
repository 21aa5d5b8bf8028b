"""OAuth 2.0: in a browser on this machine, or with a code on another."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from libmatrix.auth import oauth
from libmatrix.auth.login import login_result
from libmatrix.auth.loopback import Listener
from libmatrix.auth.oauth_metadata import (
    CODE_GRANT,
    DEVICE_GRANT,
    Metadata,
    check_code_flow,
    check_device_flow,
    check_url,
    fetch,
)
from libmatrix.auth.session import Hidden, Session
from libmatrix.client import Client
from libmatrix.errors import MatrixError, OAuthError, TransportError
from libmatrix.table_gen import (
    LoginOauthArguments,
    LoginOauthDeviceArguments,
    LoginOauthDeviceProgress,
    LoginOauthDeviceResult,
    LoginOauthResult,
)
from libmatrix.tasks import time_limit

_USUAL_INTERVAL = 5
_MOST_INTERVAL = 300
_MOST_SECONDS = 3600
_LONGEST_CODE = 64


class _Flow(NamedTuple):
    """What every flow begins with."""

    metadata: Metadata
    # Where the user's consent is asked for.
    endpoint: str
    device_id: str
    client_id: str

    @property
    def wanted(self) -> dict[str, str]:
        """What both kinds of consent are asked for with."""
        return {"client_id": self.client_id, "scope": oauth.scope(self.device_id)}


class _Authorization(Hidden):
    device_code: str
    user_code: str
    verification_uri: str
    expires_in: int
    verification_uri_complete: str | None = None
    interval: int = _USUAL_INTERVAL


async def login_oauth(client: Client, arguments: LoginOauthArguments) -> LoginOauthResult:
    """Has the host open a browser and waits until it is back with a code for tokens."""
    client.require_logout()
    ask = client.asker()
    flow = await _begin(client, arguments, check_code_flow)
    verifier = secrets.token_urlsafe(48)
    async with Listener() as listener:
        query = {
            "response_type": "code",
            "response_mode": "query",
            "redirect_uri": listener.url,
            "state": listener.state,
            "code_challenge_method": "S256",
            "code_challenge": _challenge(verifier),
            **flow.wanted,
        }
        if arguments.create_account:
            query["prompt"] = "create"
        url = f"{flow.endpoint}{'&' if '?' in flow.endpoint else '?'}{urlencode(query)}"
        fields = await listener.wait(ask, url, arguments.timeout_ms)
    wanted = {
        "grant_type": CODE_GRANT,
        "code": _code(fields, flow.metadata.issuer),
        "redirect_uri": query["redirect_uri"],
        "code_verifier": verifier,
    }
    return LoginOauthResult(**login_result(client, await _log_in(client, flow, wanted)))


async def login_oauth_device(
    client: Client, arguments: LoginOauthDeviceArguments
) -> LoginOauthDeviceResult:
    """Reports a code for the user to type elsewhere, and asks until that is done."""
    client.require_logout()
    report = client.reporter()
    flow = await _begin(client, arguments, check_device_flow)
    granted = _checked(await oauth.ask(client, flow.endpoint, _Authorization, flow.wanted))
    report(
        LoginOauthDeviceProgress(
            verification_uri=granted.verification_uri,
            verification_uri_complete=granted.verification_uri_complete,
            user_code=granted.user_code,
            expires_in_ms=granted.expires_in * 1000,
        )
    )
    try:
        async with time_limit(granted.expires_in):
            session = await _poll(client, flow, granted)
    except TimeoutError:
        raise MatrixError("the code was not used in time", code="E_TIMEOUT") from None
    return LoginOauthDeviceResult(**login_result(client, session))


async def _begin(
    client: Client,
    arguments: LoginOauthArguments | LoginOauthDeviceArguments,
    check: Callable[[Metadata], str],
) -> _Flow:
    """Who logs in, and where; `check` gives the endpoint of a flow that the server can do."""
    await client.api.check()
    device_id = oauth.choose_device(client, arguments.device_id)
    metadata = await fetch(client)
    endpoint = check(metadata)
    client_id = arguments.client_id
    if client_id is None:
        name, uri = arguments.client_name, arguments.client_uri
        client_id = await oauth.register(client, metadata, name, uri)
    return _Flow(metadata, endpoint, device_id, client_id)


async def _log_in(client: Client, flow: _Flow, wanted: dict[str, str]) -> Session:
    fields = {**wanted, "client_id": flow.client_id}
    return await oauth.log_in(client, flow.metadata, flow.device_id, fields)


def _code(fields: dict[str, str], issuer: str) -> str:
    """What the browser came back with, to be exchanged for tokens."""
    if fields.get("iss", issuer) != issuer:
        raise OAuthError("the browser came back from another authorization server")
    if "error" in fields:
        raise oauth.browser_refusal(fields)
    if not fields.get("code"):
        raise OAuthError("the browser came back without a code")
    return fields["code"]


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _checked(granted: _Authorization) -> _Authorization:
    """What a person is shown is what it looks like; what is waited for is bounded."""
    check_url(granted.verification_uri, "verification_uri")
    if granted.verification_uri_complete is not None:
        check_url(granted.verification_uri_complete, "verification_uri_complete")
    code = granted.user_code
    if not code or len(code) > _LONGEST_CODE or not code.isprintable() or not granted.device_code:
        raise OAuthError("the authorization server gave what is not a code")
    if granted.expires_in <= 0:
        raise OAuthError("the authorization server gave a code that has expired")
    return msgspec.structs.replace(granted, expires_in=min(granted.expires_in, _MOST_SECONDS))


async def _poll(client: Client, flow: _Flow, granted: _Authorization) -> Session:
    """Asks for the tokens, never faster than the authorization server wants."""
    seconds = min(max(granted.interval, 1), _MOST_INTERVAL)
    wanted = {"grant_type": DEVICE_GRANT, "device_code": granted.device_code}
    while True:
        await asyncio.sleep(seconds)
        try:
            return await _log_in(client, flow, wanted)
        except oauth.OAuthRefusalError as error:
            if error.error == "slow_down":
                seconds = min(seconds + 5, _MOST_INTERVAL)
            elif error.error == "expired_token":
                raise MatrixError("the code was not used in time", code="E_TIMEOUT") from None
            elif error.error != "authorization_pending":
                raise
        except TransportError as error:
            if error.code not in ("E_CONNECTION", "E_TIMEOUT") or client.session.is_logged_in:
                raise
            # RFC 8628: back off when the way is disturbed.
            seconds = min(seconds * 2, _MOST_INTERVAL)
