"""OAuth 2.0: in a browser on this machine, or with a code on another."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from typing import Protocol
from urllib.parse import urlencode

import msgspec

from libmatrix.auth import oauth
from libmatrix.auth.login import login_result
from libmatrix.auth.loopback import Listener
from libmatrix.auth.oauth_metadata import (
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
from libmatrix.tasks import in_task

_USUAL_INTERVAL = 5
_MOST_INTERVAL = 300
_MOST_SECONDS = 3600
_LONGEST_CODE = 64


class _Program(Protocol):
    """The options that say which program it is."""

    @property
    def client_id(self) -> str | None: ...
    @property
    def client_name(self) -> str | None: ...
    @property
    def client_uri(self) -> str | None: ...


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
    await in_task()
    await client.api.check()
    device_id = oauth.choose_device(client, arguments.device_id)
    metadata = await fetch(client)
    endpoint = check_code_flow(metadata)
    client_id = await _client_id(client, metadata, arguments)
    verifier = secrets.token_urlsafe(48)
    async with Listener() as listener:
        query = {
            "response_type": "code",
            "response_mode": "query",
            "client_id": client_id,
            "redirect_uri": listener.url,
            "scope": oauth.scope(device_id),
            "state": listener.state,
            "code_challenge_method": "S256",
            "code_challenge": _challenge(verifier),
        }
        if arguments.create_account:
            query["prompt"] = "create"
        url = f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"
        fields = await listener.wait(ask, url, arguments.timeout_ms)
    if fields.get("iss", metadata.issuer) != metadata.issuer:
        raise OAuthError("the browser came back from another authorization server")
    if "error" in fields:
        raise oauth.browser_refusal(fields)
    if not fields.get("code"):
        raise OAuthError("the browser came back without a code")
    wanted = {
        "grant_type": "authorization_code",
        "code": fields["code"],
        "redirect_uri": query["redirect_uri"],
        "client_id": client_id,
        "code_verifier": verifier,
    }
    session = await oauth.log_in(client, metadata, device_id, wanted)
    return LoginOauthResult(**login_result(client, session))


async def login_oauth_device(
    client: Client, arguments: LoginOauthDeviceArguments
) -> LoginOauthDeviceResult:
    """Reports a code for the user to type elsewhere, and asks until that is done."""
    client.require_logout()
    report = client.reporter()
    await in_task()
    await client.api.check()
    device_id = oauth.choose_device(client, arguments.device_id)
    metadata = await fetch(client)
    endpoint = check_device_flow(metadata)
    client_id = await _client_id(client, metadata, arguments)
    wanted = {"client_id": client_id, "scope": oauth.scope(device_id)}
    granted = _checked(await oauth.ask(client, endpoint, _Authorization, wanted))
    report(
        LoginOauthDeviceProgress(
            verification_uri=granted.verification_uri,
            verification_uri_complete=granted.verification_uri_complete,
            user_code=granted.user_code,
            expires_in_ms=granted.expires_in * 1000,
        )
    )
    try:
        async with asyncio.timeout(granted.expires_in):
            session = await _poll(client, metadata, device_id, client_id, granted)
    except TimeoutError:
        raise MatrixError("the code was not used in time", code="E_TIMEOUT") from None
    return LoginOauthDeviceResult(**login_result(client, session))


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def _client_id(client: Client, metadata: Metadata, program: _Program) -> str:
    if program.client_id is not None:
        return program.client_id
    return await oauth.register(client, metadata, program.client_name, program.client_uri)


def _checked(granted: _Authorization) -> _Authorization:
    """What a person is shown is what it looks like; what is waited for is bounded."""
    check_url(granted.verification_uri, "verification_uri")
    if granted.verification_uri_complete is not None:
        check_url(granted.verification_uri_complete, "verification_uri_complete")
    code = granted.user_code
    if not code or len(code) > _LONGEST_CODE or not code.isprintable() or not granted.device_code:
        raise OAuthError("the authorization server gave a code that is none")
    if granted.expires_in <= 0:
        raise OAuthError("the authorization server gave a code that has expired")
    return msgspec.structs.replace(granted, expires_in=min(granted.expires_in, _MOST_SECONDS))


async def _poll(
    client: Client, metadata: Metadata, device_id: str, client_id: str, granted: _Authorization
) -> Session:
    """Asks for the tokens, never faster than the authorization server wants."""
    seconds = min(max(granted.interval, 1), _MOST_INTERVAL)
    wanted = {
        "grant_type": DEVICE_GRANT,
        "device_code": granted.device_code,
        "client_id": client_id,
    }
    while True:
        await asyncio.sleep(seconds)
        try:
            return await oauth.log_in(client, metadata, device_id, wanted)
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
