"""Whose the sends are: only that user sends them, and what is uncertain only that device.

Transaction ids are a device's own: another one that repeated a send would send it twice.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from libmatrix.errors import MatrixError, UncertainSendError
from libmatrix.sending.outcome import judge
from libmatrix.sending.store import Owner

if TYPE_CHECKING:
    from libmatrix.auth.session import Session
    from libmatrix.sending.queue import SendQueue

# Begins what stands for a device that is not known: a digest of its access token.
_DIGEST = "~"


class Ownership:
    """The user and the device of what waits, as the store knows them."""

    def __init__(self, queue: SendQueue, kept: Owner) -> None:
        self._queue = queue
        self._kept = kept
        self._has_begun = False
        # The one of the last send.
        self.session: Session | None = None
        # The client may have become another device: the homeserver has to be asked.
        self.is_unsure = False

    def take(self, session: Session) -> None:
        """A send is made in a session."""
        self.session = session
        if not self.is_unsure:
            self._keep(session)
        if session.user_id is None:
            # The next run may have another token.
            self._queue.client.run_beside(self._learn())

    def changed(self, session: Session) -> None:
        """There is another session, or more is known of it."""
        has_begun, self._has_begun = self._has_begun, True
        self.is_unsure = False
        if not self._queue.is_waiting:
            return
        user_id, device_id = self._kept
        # A login names its device: without a name, tokens were only renewed.
        is_renewed = has_begun and session.device_id is None
        is_same = is_renewed or _is_device_of(session, device_id)
        is_named = device_id is not None and not device_id.startswith(_DIGEST)
        if user_id is None and not is_same:
            self._queue.end_all(MatrixError("nobody knows who queued it", code="E_NOT_LOGGED_IN"))
        elif user_id is not None and session.user_id not in (None, user_id):
            stranger = MatrixError("it was queued by another user", code="E_NOT_LOGGED_IN")
            self._queue.end_all(stranger)
        elif not is_same and is_named and session.device_id is None:
            self.is_unsure = True
            return
        elif not is_same:
            self._queue.change_devices()
        self._keep(session)

    async def identify(self) -> None:
        """Asks whose token it is; raises `UncertainSendError` when nobody will say."""
        client = self._queue.client
        async with client.lock("whoami"):
            try:
                if self.is_unsure:
                    await self._ask()
            except MatrixError as error:
                if judge(error).what != "permanent":
                    raise
        if self.is_unsure:
            raise UncertainSendError("the homeserver does not say whether it was this device's")

    def forget(self) -> None:
        """Nothing waits any more, and the store was emptied."""
        self._kept, self.session, self.is_unsure = (None, None), None, False

    # -- inside -------------------------------------------------------------------------------

    def _keep(self, session: Session) -> None:
        before = self._kept[0] if self._queue.is_waiting else None
        owner = session.user_id or before, session.device_id or _digest(session)
        if owner != self._kept:
            self._kept = owner
            self._queue.store.keep_owner(owner)

    async def _learn(self) -> None:
        with contextlib.suppress(MatrixError):
            await self._ask()

    async def _ask(self) -> None:
        from libmatrix.operations.session import whoami
        from libmatrix.table_gen import WhoamiArguments

        await whoami(self._queue.client, WhoamiArguments())


def _is_device_of(session: Session, device_id: str | None) -> bool:
    if device_id is None or device_id == session.device_id:
        return True
    return device_id.startswith(_DIGEST) and device_id == _digest(session)


def _digest(session: Session) -> str:
    import hashlib

    return _DIGEST + hashlib.sha256((session.access_token or "").encode()).hexdigest()[:32]
