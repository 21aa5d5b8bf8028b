"""Logging in and out, and who is logged in."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from msgspec import Raw

from libmatrix.api import decode, make_path
from libmatrix.auth.login import begin, device_fields, log_in, login_result, session_of
from libmatrix.auth.session import Session, export_text
from libmatrix.client import Client
from libmatrix.errors import (
    ArgumentError,
    HomeserverError,
    MatrixError,
    ResponseError,
    UnknownTokenError,
)
from libmatrix.table_gen import (
    AccountArguments,
    AccountResult,
    ExportSessionArguments,
    ExportSessionResult,
    LoginFlowsArguments,
    LoginFlowsResult,
    LoginPasswordArguments,
    LoginPasswordResult,
    LoginTokenArguments,
    LoginTokenResult,
    LogoutArguments,
    LogoutResult,
    RefreshSessionArguments,
    RefreshSessionResult,
    RegisterAccountArguments,
    RegisterAccountResult,
    SsoProvider,
    WhoamiArguments,
    WhoamiResult,
)

_SSO = ("m.login.sso", "m.login.cas")


# -- logging in -----------------------------------------------------------------------------------


class _Flows(msgspec.Struct):
    flows: Raw


async def login_flows(client: Client, arguments: LoginFlowsArguments) -> LoginFlowsResult:
    """The homeserver's ways to log in."""
    await client.api.check()
    answer = await client.api.call("GET", make_path("login"), with_token=False)
    raw = decode(answer, _Flows).flows
    listed = decode(bytes(raw), list[Any])
    flows = [f for f in listed if isinstance(f, dict) and isinstance(f.get("type"), str)]
    providers = [p for f in flows if f["type"] in _SSO for p in _providers(f)]
    return LoginFlowsResult(
        types=[flow["type"] for flow in flows],
        identity_providers=providers,
        has_oauth=await _has_oauth(client),
        flows=raw,
    )


def _providers(flow: dict[str, Any]) -> list[SsoProvider]:
    """Those of a flow that have what they must have."""
    listed = flow.get("identity_providers")
    found = []
    for provider in listed if isinstance(listed, list) else ():
        try:
            found.append(msgspec.convert(provider, SsoProvider))
        except msgspec.ValidationError:
            continue
    return found


async def _has_oauth(client: Client) -> bool:
    from libmatrix.auth.oauth_metadata import fetch

    try:
        await fetch(client)
    except (HomeserverError, ResponseError) as error:
        # A server that knows nothing of it answers 404 in one way or another, or with a page.
        if error.http_status in (None, 200, 400, 404, 405):
            return False
        raise
    except MatrixError as error:
        if error.code != "E_OAUTH":
            raise
        return False
    return True


async def login_password(client: Client, arguments: LoginPasswordArguments) -> LoginPasswordResult:
    """Logs in with a password."""
    client.require_logout()
    identifier = _identifier(arguments)
    fields = {
        "type": "m.login.password",
        "identifier": identifier,
        "password": arguments.password,
        **device_fields(client, arguments.device_id, arguments.device_display_name),
    }
    return LoginPasswordResult(**login_result(client, await log_in(client, fields)))


def _identifier(arguments: LoginPasswordArguments) -> dict[str, str]:
    kind, user = arguments.identifier, arguments.user
    if kind == "email":
        return {"type": "m.id.thirdparty", "medium": "email", "address": user}
    if kind == "user":
        return {"type": "m.id.user", "user": user}
    if arguments.country is not None:
        return {"type": "m.id.phone", "country": arguments.country.upper(), "phone": user}
    if not user.startswith("+"):
        raise ArgumentError("country: is needed, or a phone number that begins with +")
    digits = "".join(c for c in user if c in "0123456789")
    return {"type": "m.id.thirdparty", "medium": "msisdn", "address": digits}


async def login_token(client: Client, arguments: LoginTokenArguments) -> LoginTokenResult:
    """Logs in with a login token."""
    client.require_logout()
    fields = {
        "type": "m.login.token",
        "token": arguments.token,
        **device_fields(client, arguments.device_id, arguments.device_display_name),
    }
    return LoginTokenResult(**login_result(client, await log_in(client, fields)))


async def register_account(
    client: Client, arguments: RegisterAccountArguments
) -> RegisterAccountResult:
    """Makes an account; the host does the stages that need a person."""
    from libmatrix.auth.uia import authenticate

    client.require_logout()
    ask = client.asker()
    if arguments.auth_timeout_ms <= 0:
        raise ArgumentError("auth_timeout_ms: must be above 0")
    await client.api.check()
    body = device_fields(client, arguments.device_id, arguments.device_display_name)
    for key, value in (("username", arguments.user), ("password", arguments.password)):
        if value is not None:
            body[key] = value
    own: dict[str, dict[str, Any]] = {"m.login.dummy": {}}
    if arguments.token is not None:
        own["m.login.registration_token"] = {"token": arguments.token}

    async def send(auth: dict[str, Any] | None) -> bytes:
        fields = body if auth is None else {**body, "auth": auth}
        path = make_path("register")
        return await client.api.call("POST", path, body=fields, with_token=False)

    answer = await authenticate(send, ask, own, arguments.auth_timeout_ms)
    session = await begin(client, session_of(client, answer))
    return RegisterAccountResult(**login_result(client, session))


# -- the session ----------------------------------------------------------------------------------


class _Whoami(msgspec.Struct):
    user_id: str
    device_id: str | None = None
    is_guest: bool = False


async def whoami(client: Client, arguments: WhoamiArguments) -> WhoamiResult:
    """Asks the homeserver whose access token this is."""
    answer = await client.api.get(_Whoami, make_path("account", "whoami"))
    client.identified(answer.user_id, answer.device_id)
    return WhoamiResult(
        user_id=answer.user_id, device_id=answer.device_id, is_guest=answer.is_guest
    )


async def account(client: Client, arguments: AccountArguments) -> AccountResult:
    """Who the client is."""
    session = client.session
    return AccountResult(
        user_id=session.user_id,
        device_id=session.device_id,
        homeserver=client.api.base_url,
        next_batch=client.state.next_batch,
        is_logged_in=session.is_logged_in,
        has_refresh_token=session.refresh_token is not None,
        expires_in_ms=_left(session),
    )


def _left(session: Session) -> int | None:
    if session.expires_at_ms is None:
        return None
    return max(session.expires_at_ms - time.time_ns() // 1_000_000, 0)


async def refresh_session(
    client: Client, arguments: RefreshSessionArguments
) -> RefreshSessionResult:
    """Renews the access token now."""
    if client.require_login().refresh_token is None:
        raise ArgumentError("the session has no refresh token")
    if not await client.renewal.renew():
        raise UnknownTokenError("the refresh token is not valid")
    return RefreshSessionResult(expires_in_ms=_left(client.session))


async def export_session(client: Client, arguments: ExportSessionArguments) -> ExportSessionResult:
    """The session as one text."""
    session = client.require_login()
    homeserver = await client.api.locate()
    if session.user_id is None or session.device_id is None:
        answer = await client.api.get(_Whoami, make_path("account", "whoami"))
        client.identified(answer.user_id, answer.device_id)
    session = msgspec.structs.replace(client.require_login(), homeserver=homeserver)
    if session.device_id is None:
        raise ResponseError("the access token belongs to no device")
    return ExportSessionResult(session=export_text(session))


async def logout(client: Client, arguments: LogoutArguments) -> LogoutResult:
    """Ends the session at the homeserver and forgets its tokens and what it brought."""
    if arguments.local_only:
        if arguments.everywhere:
            raise ArgumentError("everywhere: not with local_only")
        client.logged_out()
        client.log.record("info", "session", "forgotten")
        return LogoutResult()
    session = client.require_login()
    if session.oauth is None:
        path = make_path("logout", "all") if arguments.everywhere else make_path("logout")
        await client.api.call("POST", path, body={})
    else:
        from libmatrix.auth.oauth import revoke

        if arguments.everywhere:
            raise ArgumentError("everywhere: a session by OAuth 2.0 can end itself only")
        await revoke(client, session)
    client.logged_out()
    client.log.record("info", "session", "logged out")
    return LogoutResult()
