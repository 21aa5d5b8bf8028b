"""Single sign-on: in the browser, and back on 127.0.0.1."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from libmatrix.api import make_path
from libmatrix.auth.login import device_fields, log_in, login_result
from libmatrix.auth.loopback import Listener
from libmatrix.client import Client
from libmatrix.errors import ArgumentError, ResponseError
from libmatrix.table_gen import (
    LoginSsoArguments,
    LoginSsoResult,
    SsoUrlArguments,
    SsoUrlResult,
)

_LONGEST_ID = 255


async def sso_url(client: Client, arguments: SsoUrlArguments) -> SsoUrlResult:
    """The URL to open in a browser."""
    url = await _url(client, arguments.redirect_url, arguments.identity_provider)
    return SsoUrlResult(url=url)


async def login_sso(client: Client, arguments: LoginSsoArguments) -> LoginSsoResult:
    """Has the host open a browser and waits until it is back with a login token."""
    client.require_logout()
    ask = client.asker()
    await client.api.check()
    async with Listener() as listener:
        back = f"{listener.url}?{urlencode({'state': listener.state})}"
        url = await _url(client, back, arguments.identity_provider)
        fields = await listener.wait(ask, url, arguments.timeout_ms)
    token = fields.get("loginToken")
    if not token:
        raise ResponseError("the browser came back without a login token")
    wanted = device_fields(client, arguments.device_id, arguments.device_display_name)
    session = await log_in(client, {"type": "m.login.token", "token": token, **wanted})
    return LoginSsoResult(**login_result(client, session))


async def _url(client: Client, redirect_url: str, provider: str | None) -> str:
    """Where single sign-on begins."""
    if not redirect_url or any(c <= " " for c in redirect_url) or ":" not in redirect_url:
        raise ArgumentError("redirect_url: not a URL")
    if provider is not None and not 0 < len(provider) <= _LONGEST_ID:
        raise ArgumentError("identity_provider: not the id of one")
    base_url = await client.api.locate()
    parts = ("login", "sso", "redirect") + (() if provider is None else (provider,))
    return f"{base_url}{make_path(*parts)}?redirectUrl={quote(redirect_url, safe='')}"
