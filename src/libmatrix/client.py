"""One client: a session at a homeserver, what it knows, and what its host wants to hear."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

import msgspec
from msgspec import Raw

from libmatrix import frames
from libmatrix.api import Api
from libmatrix.auth.renewal import Renewal
from libmatrix.auth.restoring import restore
from libmatrix.auth.session import Session
from libmatrix.errors import (
    AlreadyLoggedInError,
    ArgumentError,
    EncryptionError,
    MatrixError,
    NotLoggedInError,
    StoreError,
    is_defect,
    map_error,
    places,
)
from libmatrix.preparation import Preparation
from libmatrix.store.seal import Vault
from libmatrix.sync.subscriptions import Subscriptions
from libmatrix.table_gen import ClientOptions, Output
from libmatrix.tasks import Runner

if TYPE_CHECKING:
    from libmatrix.context import Context
    from libmatrix.crypto.machine import Crypto
    from libmatrix.events.record import Decrypt
    from libmatrix.messages.cursors import Cursor
    from libmatrix.sending.doubts import Doubts
    from libmatrix.sending.queue import SendQueue
    from libmatrix.store.state import State
    from libmatrix.sync.syncer import Syncer

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class Client:
    """What an operation is given; everything of one client hangs on it."""

    def __init__(self, owner: Context, handle: int, options: ClientOptions) -> None:
        self.owner = owner
        self.context = owner.handle
        self.handle = handle
        self.options = options
        self.host = owner.host
        self.log = owner.log
        self.subscriptions = Subscriptions(self.log)
        # By their requests, and what syncs.
        self.tasks: dict[int, Runner | asyncio.Task[Any]] = {}
        # What goes on beside the requests, until it ends or the client does.
        self._beside: set[asyncio.Task[Any]] = set()
        # What every request is answered with, when the client could not be made.
        self.failure: MatrixError | None = None
        self.session = Session()
        self.renewal = Renewal(self)
        self._decrypt: Decrypt | None = None
        # Until it is done, requests wait.
        self.preparing: Preparation | None = None
        self.vault = Vault(options.store_passphrase)
        self._state: State | None = None
        self._syncer: Syncer | None = None
        self._crypto: Crypto | None = None
        self._sends: SendQueue | None = None
        self.doubts: Doubts | None = None  # what of that a sync may settle
        self.cursors: dict[int, Cursor] = {}  # open ones, by their numbers
        self._api: Api | None = None
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._is_closed = False
        # What a request that is cancelled from now on is answered with.
        self.ending = MatrixError("the request was cancelled", code="E_CANCELLED")

    # -- life ---------------------------------------------------------------------------------

    def open(self) -> None:
        """Checks the options and opens the store; a fault is kept for the requests."""
        try:
            self._api = Api(self, self.options.homeserver)
            if self.options.store_path is not None:
                self._open_state()
            elif self.options.store_passphrase is not None:
                raise ArgumentError("store_passphrase: there is no store_path")
            if self.vault.is_locked:
                self.preparing = Preparation(self.host.loop, self._unlock(), self._prepared)
            else:
                self._restore()
                self._resume_sends()
        except Exception as error:
            self._failed(error)

    async def _unlock(self) -> None:
        """Opens what the store keeps sealed; the key takes a while."""
        try:
            session, was_clear = await self.vault.unlock()
            self.state.session = session
            if was_clear:
                self.state.keep_session(session)
            self._restore()
            self._resume_sends()
        except Exception as error:
            self._failed(error)

    def _prepared(self) -> None:
        self.preparing = None

    def _failed(self, error: Exception) -> None:
        self.failure = map_error(error)
        text = places(error) if is_defect(error) else self.failure.message
        self.log.record("error", "client", text, self.failure.code)
        self._close_state()

    def check(self) -> MatrixError | None:
        """Why no request can be made; a client that lacked a descriptor is given another try."""
        if self.failure is not None and self.failure.code == "E_TOO_MANY_FILES":
            self.failure = None
            self.open()
        return self.failure

    def close(self) -> list[asyncio.Task[Any]]:
        """Cancels the requests and closes the store; returns the tasks that are ending."""
        self._is_closed = True
        running = [*self.tasks.values(), *self._beside]
        for each in running:
            each.cancel()
        tasks = [each.as_task() if isinstance(each, Runner) else each for each in running]
        tasks += self.renewal.close()
        if self.preparing is not None:
            tasks += self.preparing.close()
        if self._syncer is not None:
            self._syncer.close()
        if self._sends is not None:
            tasks += self._sends.close()
        tasks += self._close_crypto()
        self._close_state()
        if self._api is not None:
            self._api.close()
        return tasks

    def run_beside(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Goes on with something that belongs to no request; it is cancelled at the close.

        What goes wrong is for who waits for the task; a defect is logged in any case.
        """
        task = self.host.loop.create_task(coroutine)
        self._beside.add(task)
        task.add_done_callback(self._beside_ended)
        return task

    def _beside_ended(self, task: asyncio.Task[Any]) -> None:
        self._beside.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and is_defect(error):
            self.log.record("error", "runtime", places(error), "E_INTERNAL")

    # -- what it is made of -------------------------------------------------------------------

    @property
    def api(self) -> Api:
        """Requests to the homeserver."""
        assert self._api is not None
        return self._api

    @property
    def state(self) -> State:
        """What the client knows; in memory when it has no store."""
        return self._state or self._open_state()

    @property
    def crypto(self) -> Crypto:
        """Encryption; begins when it is first asked for.

        Raises `EncryptionError` when the client was made without, and `NotLoggedInError` while it
        is not known which device this is; `open_crypto` finds that out.
        """
        if self._crypto is None:
            self.require_encryption()
            from libmatrix.crypto.machine import Crypto

            session = self.session
            if session.user_id is None or session.device_id is None:
                raise NotLoggedInError
            self._crypto = Crypto(self, self.vault, session.user_id, session.device_id)
            self._decrypt = self._crypto.decryptor.open
        return self._crypto

    @property
    def decrypt(self) -> Decrypt | None:
        """What is given each encrypted event just before its delivery; None without encryption."""
        if self._decrypt is None and self.options.encryption:
            session = self.session
            if session.user_id is not None and session.device_id is not None:
                self._decrypt = self.crypto.decryptor.open
        return self._decrypt

    @decrypt.setter
    def decrypt(self, value: Decrypt | None) -> None:
        self._decrypt = value

    async def open_crypto(self) -> Crypto:
        """The same, asking the homeserver who this is when only the token is known so far.

        Raises `NotLoggedInError`, and `EncryptionError` where there can be no keys.
        """
        self.require_encryption()
        session = self.require_login()
        if session.user_id is None or session.device_id is None:
            from libmatrix.operations.session import whoami
            from libmatrix.table_gen import WhoamiArguments

            await whoami(self, WhoamiArguments())
        if self.session.device_id is None:
            raise EncryptionError("the access token belongs to no device")
        return self.crypto

    @property
    def syncer(self) -> Syncer:
        """The one that syncs."""
        if self._syncer is None:
            from libmatrix.sync.syncer import Syncer

            self._syncer = Syncer(self)
        return self._syncer

    def lock(self, name: str) -> asyncio.Lock:
        """For what must not be done twice at a time, as read, change, write."""
        return self._locks.setdefault(name, asyncio.Lock())

    @property
    def sends(self) -> SendQueue:
        """What waits to be sent."""
        if self._sends is None:
            from libmatrix.sending.queue import SendQueue

            self._sends = SendQueue(self)
            self._sends.resume()
        return self._sends

    # -- the session --------------------------------------------------------------------------

    def require_login(self) -> Session:
        """The session; raises when there is none."""
        if not self.session.is_logged_in:
            raise NotLoggedInError
        return self.session

    def require_logout(self) -> None:
        """Raises when there is a session."""
        if self.session.is_logged_in:
            raise AlreadyLoggedInError(self.session.user_id)

    def require_encryption(self) -> None:
        """Raises `EncryptionError` when the client was made without."""
        if not self.options.encryption:
            raise EncryptionError("this client was made without encryption; nothing was sent")

    def logged_in(self, session: Session) -> None:
        """Starts a session, or goes on with new tokens, and keeps it."""
        self.session = session
        self.renewal.watch(session)
        self._session_changed()

    def identified(self, user_id: str, device_id: str | None) -> None:
        """The homeserver says whose token it is; needed when only the token was given."""
        session = self.session
        is_known = session.user_id is not None and session.device_id is not None
        if not is_known and session.user_id in (None, user_id):
            device_id = session.device_id or device_id
            self.session = msgspec.structs.replace(session, user_id=user_id, device_id=device_id)
            self._session_changed()

    def located(self, homeserver: str) -> None:
        """The server name of the options leads there; so the next start need not ask."""
        session = self.session
        if session.is_logged_in and session.homeserver is None:
            self.session = msgspec.structs.replace(session, homeserver=homeserver)
            self._keep_session()

    def logged_out(self) -> None:
        """Forgets the session and all it brought; nothing of it where the store cannot."""
        if self._state is not None:
            self._state.forget()
        self.session = Session()
        self.renewal.watch(self.session)
        if self._syncer is not None:
            self._syncer.close()
            self._syncer = None
        if self._sends is not None:
            self._sends.logged_out()
        self._close_crypto()
        if self.options.store_path is not None:
            from libmatrix.crypto.key_location import remove_key

            remove_key(self.options.store_path)

    def token_refused(self, *, is_soft: bool = False) -> None:
        """The homeserver does not know the token any more; after a soft logout the device stays."""
        self.session = self.session.without_tokens(keeps_device=is_soft)
        if not is_soft:
            # The next login makes another device.
            self._close_crypto()
        self.renewal.watch(self.session)
        text = "the access token is not valid" + ("; log in again" if is_soft else "")
        self.log.record("warning", "session", text, "M_UNKNOWN_TOKEN")
        self._session_changed()

    # -- the host -----------------------------------------------------------------------------

    def consumed(self, mark: int) -> None:
        """The host has consumed all events up to a mark."""
        late = None if self._crypto is None else self._crypto.late
        for each in (self._syncer, late, self._sends):
            if each is not None:
                each.consumed(mark)

    def reachable(self) -> None:
        """The homeserver answers again."""
        if self._sends is not None:
            self._sends.reachable()

    def subscribe(self, handle: int, kind: str, body: Raw) -> None:
        """Takes a wish of the host."""
        self.subscriptions.add(handle, kind, body)
        if kind == "send" and self._sends is not None:
            self._sends.subscribed()

    def reporter(self) -> Callable[[Output], None]:
        """Reports progress of the request being started; ask for it before the first wait."""
        request = self.host.starting_request

        def report(progress: Output) -> None:
            self.host.outbox.add(frames.PROGRESS, self.context, request, _encode(progress))

        return report

    def asker(self) -> Callable[[str, Raw, int], Awaitable[Raw]]:
        """Asks the host on behalf of the request being started; get it before the first wait."""
        return partial(self.host.calls.ask, self.context, self.host.starting_request)

    # -- inside -------------------------------------------------------------------------------

    def _close_crypto(self) -> list[asyncio.Task[Any]]:
        crypto, self._crypto, self._decrypt = self._crypto, None, None
        return crypto.close() if crypto is not None else []

    def _open_state(self) -> State:
        from libmatrix.store.state import State

        if self._is_closed:
            raise StoreError("the store is closed")
        self._state = State(self.options.store_path, self.vault, self.host.files)
        return self._state

    def _resume_sends(self) -> None:
        """Goes on with what an earlier run left to be sent."""
        from libmatrix.sending.store import SendStore

        if self._state is not None and SendStore.is_needed(self):
            self.sends  # noqa: B018

    def _close_state(self) -> None:
        if self._state is not None:
            self._state.close()
            self._state = None

    def _restore(self) -> None:
        stored = self._state.session if self._state is not None else Session()
        self.session = restore(self.options, stored, self.api.base_url)
        if self.session != stored:
            self._keep_session()
        self.renewal.watch(self.session)
        if self.api.base_url is None:
            self.api.base_url = self.session.homeserver
        if not self.api.knows_homeserver:
            raise ArgumentError("homeserver: is missing; there is no session that has it")

    def _session_changed(self) -> None:
        """Has sends know of it first: it is so in memory, whether it can be kept or not."""
        if self._sends is not None:
            self._sends.session_changed()
        self._keep_session()

    def _keep_session(self) -> None:
        if self._state is not None:
            self._state.keep_session(self.session)
