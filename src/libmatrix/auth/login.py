"""What all ways to log in share: the request, its answer, and who may not be mixed with whom."""

from __future__ import annotations

import contextlib
from typing import Any

from libmatrix.api import decode, make_path
from libmatrix.auth.session import Hidden, Session, expiry
from libmatrix.client import Client
from libmatrix.errors import AlreadyLoggedInError, MatrixError, ResponseError


class _Answer(Hidden):
    user_id: str
    device_id: str
    access_token: str
    refresh_token: str | None = None
    expires_in_ms: int | None = None


def wanted_device(client: Client, device_id: str | None) -> str | None:
    """The device to log in as: that asked for, that of a soft logout, that of the options."""
    return device_id or client.session.device_id or client.options.device_id


def device_fields(client: Client, device_id: str | None, name: str | None) -> dict[str, Any]:
    """What a login says about its device, and that it wants a refresh token."""
    fields: dict[str, Any] = {"refresh_token": True}
    device_id = wanted_device(client, device_id)
    if device_id is not None:
        fields["device_id"] = device_id
    name = name or client.options.device_display_name
    if name is not None:
        fields["initial_device_display_name"] = name
    return fields


async def log_in(client: Client, fields: dict[str, Any]) -> Session:
    """Logs in with the fields of a login request."""
    client.require_logout()
    await client.api.check()
    answer = await client.api.call("POST", make_path("login"), body=fields, with_token=False)
    return await begin(client, session_of(client, answer))


def session_of(client: Client, answer: bytes) -> Session:
    """The session in the answer to a login or a registration. Raises `ResponseError`."""
    login = decode(answer, _Answer)
    if not login.access_token or not login.device_id or not login.user_id.startswith("@"):
        raise ResponseError("the homeserver's answer to the login is not one")
    return Session(
        user_id=login.user_id,
        device_id=login.device_id,
        access_token=login.access_token,
        refresh_token=login.refresh_token or None,
        expires_at_ms=expiry(login.expires_in_ms),
        homeserver=client.api.base_url,
    )


async def begin(client: Client, session: Session) -> Session:
    """Goes on with a session; one that may not be is ended again. Raises `AlreadyLoggedInError`."""
    owner = client.session.user_id or client.options.user_id
    if owner is not None and owner.startswith("@") and owner != session.user_id:
        await end(client, session)
        raise AlreadyLoggedInError(owner)
    if client.session.is_logged_in:
        # Another login was faster.
        await end(client, session)
        client.require_logout()
    client.logged_in(session)
    client.log.record("info", "session", f"logged in as {session.user_id}")
    return session


def login_result(client: Client, session: Session) -> dict[str, str]:
    """What every login answers its host: the fields user_id, device_id and homeserver."""
    assert session.user_id is not None and session.device_id is not None
    return {
        "user_id": session.user_id,
        "device_id": session.device_id,
        "homeserver": client.api.base_url or "",
    }


async def end(client: Client, session: Session) -> None:
    """Ends a session that is not the client's, if that can be."""
    with contextlib.suppress(MatrixError):
        if session.oauth is not None:
            from libmatrix.auth.oauth import revoke

            await revoke(client, session)
        else:
            token = session.access_token
            await client.api.call("POST", make_path("logout"), body={}, token=token)
