"""Logging in and out, and who is logged in."""

from __future__ import annotations

import contextlib

import msgspec

from libmatrix.api import decode, make_path
from libmatrix.client import Client
from libmatrix.errors import AlreadyLoggedInError, MatrixError, ResponseError
from libmatrix.session import Session
from libmatrix.table_gen import (
    LoginPasswordArguments,
    LoginPasswordResult,
    LogoutArguments,
    LogoutResult,
    WhoamiArguments,
    WhoamiResult,
)


class _Login(msgspec.Struct):
    user_id: str
    device_id: str
    access_token: str


async def login_password(client: Client, arguments: LoginPasswordArguments) -> LoginPasswordResult:
    """Logs in with a password."""
    client.require_logout()
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": arguments.user},
        "password": arguments.password,
    }
    device_id = arguments.device_id or client.session.device_id or client.options.device_id
    if device_id is not None:
        body["device_id"] = device_id
    if arguments.device_display_name is not None:
        body["initial_device_display_name"] = arguments.device_display_name
    answer = await client.api.call("POST", make_path("login"), body=body, with_token=False)
    login = decode(answer, _Login)
    if not login.access_token or not login.user_id.startswith("@"):
        raise ResponseError("the homeserver's answer to the login is not one")
    await _refuse_stranger(client, login)
    # Another login may have been faster.
    client.require_logout()
    client.logged_in(
        Session(user_id=login.user_id, device_id=login.device_id, access_token=login.access_token)
    )
    client.log.record("info", "session", f"logged in as {login.user_id}")
    return LoginPasswordResult(
        user_id=login.user_id, device_id=login.device_id, homeserver=client.api.base_url
    )


async def _refuse_stranger(client: Client, login: _Login) -> None:
    """What a client knows of one user is not mixed with another's, nor thrown away for it."""
    owner = client.session.user_id
    if owner is None or owner == login.user_id:
        return
    with contextlib.suppress(MatrixError):
        await client.api.call("POST", make_path("logout"), body={}, token=login.access_token)
    raise AlreadyLoggedInError(owner)


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


async def logout(client: Client, arguments: LogoutArguments) -> LogoutResult:
    """Ends the session at the homeserver and forgets its access token and what it brought."""
    await client.api.call("POST", make_path("logout"), body={})
    client.logged_out()
    client.log.record("info", "session", "logged out")
    return LogoutResult()
