"""The access token, kept fresh: one renewal at a time, for all requests that wait for it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from libmatrix.auth.session import Hidden, Session, expiry
from libmatrix.errors import HomeserverError, MatrixError, StoreError, TokenEndedError

if TYPE_CHECKING:
    from libmatrix.client import Client

_PATH = "/_matrix/client/v3/refresh"
_MARGIN_SECONDS = 30.0
# After a renewal that failed on the way, while the old token may still be good.
_PAUSE_SECONDS = 5.0
# With these a homeserver says that a refresh token is not valid (any more).
_REFUSALS = frozenset({401, 403, 404})


class Grant(Hidden):
    """What a renewal gives."""

    access_token: str
    refresh_token: str | None = None
    expires_in_ms: int | None = None


class Renewal:
    """Renews the tokens of one client."""

    __slots__ = ("_client", "_due", "_task")

    def __init__(self, client: Client) -> None:
        self._client = client
        # By the loop's clock, which nobody sets.
        self._due: float | None = None
        self._task: asyncio.Task[bool] | None = None

    def watch(self, session: Session) -> None:
        """Takes note of when a session's token expires."""
        self._due = None
        if session.refresh_token is not None and session.expires_at_ms is not None:
            left = session.expires_at_ms / 1000 - time.time()
            self._due = self._client.host.loop.time() + left - min(_MARGIN_SECONDS, left / 4)

    def close(self) -> list[asyncio.Task[bool]]:
        """Stops a renewal that is under way; returns its task."""
        if self._task is None:
            return []
        self._task.cancel()
        return [self._task]

    async def token(self) -> str:
        """The access token to use now."""
        if self._due is not None and self._client.host.loop.time() >= self._due:
            await self._renew_early()
        token = self._client.require_login().access_token
        assert token is not None
        return token

    async def _renew_early(self) -> None:
        """Renews a token that may still be good, so that a failure is none yet."""
        client = self._client
        client.require_login()
        try:
            await self.renew()
        except MatrixError as error:
            pause = max(_PAUSE_SECONDS, (error.retry_after_ms or 0) / 1000)
            self._due = client.host.loop.time() + pause
            text = f"the token could not be renewed: {error.message}"
            client.log.record("warning", "session", text, error.code)

    async def refused(self, token: str, *, is_soft: bool, is_final: bool) -> bool:
        """The homeserver does not know a token; whether there is another one now."""
        session = self._client.session
        if session.access_token != token and not is_final:
            return session.is_logged_in
        if session.refresh_token is None or is_final:
            # A token that was just renewed and is refused again will not get better.
            if session.access_token == token:
                self._client.token_refused(is_soft=is_soft)
            return False
        return await self.renew(is_soft=is_soft)

    async def renew(self, *, is_soft: bool = False) -> bool:
        """Renews now, or waits for who does; False when the session is over."""
        if self._task is None:
            self._task = self._client.host.loop.create_task(self._renew(is_soft))
            self._task.add_done_callback(self._ended)
        return await asyncio.shield(self._task)

    def _ended(self, task: asyncio.Task[bool]) -> None:
        self._task = None
        if not task.cancelled():
            # Nobody may be left to hear it.
            task.exception()

    async def _renew(self, is_soft: bool) -> bool:
        client, session = self._client, self._client.session
        try:
            grant = await _ask(client, session)
        except TokenEndedError as error:
            if client.session.access_token == session.access_token:
                client.token_refused(is_soft=is_soft or error.is_soft)
            return client.session.is_logged_in
        if client.session.access_token != session.access_token:
            return client.session.is_logged_in
        fresh = msgspec.structs.replace(
            client.session,
            access_token=grant.access_token,
            # Where there is no new one, the old one goes on.
            refresh_token=grant.refresh_token or session.refresh_token,
            expires_at_ms=expiry(grant.expires_in_ms),
        )
        try:
            client.logged_in(fresh)
        except StoreError as error:
            # In memory it is good, and the old one is not any more.
            client.log.record("error", "session", error.message, error.code)
        client.log.record("debug", "session", "the access token was renewed")
        return True


async def _ask(client: Client, session: Session) -> Grant:
    """Asks for new tokens; raises `TokenEndedError` when there will be none."""
    if session.oauth is not None:
        from libmatrix.auth.oauth import refresh

        return await refresh(client, session)
    from libmatrix.api import decode

    body = {"refresh_token": session.refresh_token}
    try:
        answer = await client.api.call("POST", _PATH, body=body, with_token=False)
    except HomeserverError as error:
        if error.http_status in _REFUSALS:
            is_soft = getattr(error, "soft_logout", False)
            raise TokenEndedError(error.message, code=error.code, is_soft=is_soft) from None
        raise
    return decode(answer, Grant)
