"""Everything that can go wrong, as one tree, and the one place that maps other errors into it.

    MatrixError                    any code: the homeserver's M_…, or one of ours
    ├── HomeserverError            M_…                       the homeserver refused
    │   ├── UnknownTokenError      M_UNKNOWN_TOKEN           … because the access token is void
    │   └── ChallengeError         M_UNAUTHORIZED            … until more is shown
    ├── ArgumentError              E_INVALID_ARGUMENT        an argument is wrong
    ├── ResponseError              E_INVALID_RESPONSE        not what the specification says
    ├── TransportError             E_CONNECTION, E_TLS, …    nothing usable came back
    ├── DiscoveryError             E_DISCOVERY               what a server name leads to is wrong
    │   └── PromptError            E_DISCOVERY_PROMPT        … leads nowhere; the user has to say
    ├── OAuthError                 E_OAUTH                   the authorization server refused
    ├── TokenEndedError            M_UNKNOWN_TOKEN           a refresh token is void; stays inside
    ├── RenewalError               any code                  … cannot be renewed for now
    ├── NotLoggedInError           E_NOT_LOGGED_IN           there is no access token
    ├── AlreadyLoggedInError       E_ALREADY_LOGGED_IN       there is a session
    ├── AlreadyRunningError        E_ALREADY_RUNNING         the sync loop runs
    ├── TooLargeError              E_TOO_LARGE               larger than the homeserver takes
    ├── UncertainSendError         E_SEND_UNCERTAIN          a send may have worked or not
    ├── EncryptionError            E_ENCRYPTION_UNSUPPORTED  the room is encrypted; nothing was sent
    ├── StoreError                 E_STORE                   the store cannot be used
    │   ├── StoreLockedError       E_STORE_LOCKED            … because another client has it open
    │   └── PassphraseError        E_STORE_PASSPHRASE        … because it is sealed
    ├── NotHandledError            E_NOT_HANDLED             the host does not answer this question
    └── InternalError              E_INTERNAL                a defect of ours

Messages are one line for people. They never hold tokens, passwords, keys or message bodies.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

import msgspec

from libmatrix import descriptors
from libmatrix.table_gen import Error

# What decoding raises at text from elsewhere: it is broken, or no UTF-8, or nested too deep.
BROKEN_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class MatrixError(Exception):
    """What an operation raises to fail; it reaches the host as an `error` record."""

    CODE: ClassVar[str] = "E_INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        http_status: int | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code or self.CODE
        self.message = message
        self.http_status = http_status
        self.retry_after_ms = retry_after_ms

    def record(self) -> Error:
        """The error as the host gets it."""
        return Error(
            code=self.code,
            message=self.message,
            http_status=self.http_status,
            retry_after_ms=self.retry_after_ms,
        )


class HomeserverError(MatrixError):
    """The homeserver refused; the code is its own."""

    CODE = "M_UNKNOWN"


class UnknownTokenError(HomeserverError):
    """The access token is not valid (any more); after a soft logout the device is still there."""

    CODE = "M_UNKNOWN_TOKEN"
    soft_logout = False


class ChallengeError(HomeserverError):
    """The homeserver wants user-interactive authentication; `challenge` is its JSON."""

    CODE = "M_UNAUTHORIZED"
    challenge = b""


class TokenEndedError(MatrixError):
    """A refresh token is not valid (any more)."""

    CODE = "M_UNKNOWN_TOKEN"

    def __init__(self, message: str, *, code: str, is_soft: bool) -> None:
        super().__init__(message, code=code)
        self.is_soft = is_soft


class RenewalError(MatrixError):
    """The access token is void, and was not renewed for a reason that may pass.

    So nothing was done of the request that needed it. It has the code of the reason, and not its
    status, which would be taken for that of the request.
    """

    def __init__(self, reason: MatrixError) -> None:
        text = f"the access token could not be renewed: {reason.message}"
        super().__init__(text, code=reason.code, retry_after_ms=reason.retry_after_ms)


class DiscoveryError(MatrixError):
    """What a server name leads to must not be used."""

    CODE = "E_DISCOVERY"


class PromptError(DiscoveryError):
    """A server name leads nowhere: the user has to say where the homeserver is."""

    CODE = "E_DISCOVERY_PROMPT"


class OAuthError(MatrixError):
    """The authorization server refused, or must not be trusted."""

    CODE = "E_OAUTH"
    # Whether a new login may go on with the device and its keys.
    soft_logout = False


class ArgumentError(MatrixError):
    """An argument or option is wrong; the message names it."""

    CODE = "E_INVALID_ARGUMENT"


class ResponseError(MatrixError):
    """The server's answer is not what the specification says."""

    CODE = "E_INVALID_RESPONSE"


class TransportError(MatrixError):
    """The request could not be made, or nothing usable came back.

    `sent` is False only where it is certain that the homeserver has not seen it.
    """

    CODE = "E_CONNECTION"

    def __init__(self, message: str, *, code: str | None = None, sent: bool = False) -> None:
        super().__init__(message, code=code)
        self.sent = sent


class NotLoggedInError(MatrixError):
    """The client has no access token."""

    CODE = "E_NOT_LOGGED_IN"

    def __init__(self) -> None:
        super().__init__("the client is not logged in")


class AlreadyLoggedInError(MatrixError):
    """The client has a session."""

    CODE = "E_ALREADY_LOGGED_IN"

    def __init__(self, user_id: str | None) -> None:
        whose = f" as {user_id}" if user_id else ""
        text = f"the client is already logged in{whose}; log out or make another client"
        super().__init__(text)


class AlreadyRunningError(MatrixError):
    """The client's sync loop runs already."""

    CODE = "E_ALREADY_RUNNING"


class EncryptionError(MatrixError):
    """The room is encrypted, or it cannot be ruled out; nothing was sent."""

    CODE = "E_ENCRYPTION_UNSUPPORTED"


class TooLargeError(MatrixError):
    """Larger than any homeserver takes; nothing was sent."""

    CODE = "E_TOO_LARGE"


class UncertainSendError(MatrixError):
    """A send was tried and may have worked; it will not be tried again."""

    CODE = "E_SEND_UNCERTAIN"


class UnknownRoomError(MatrixError):
    """The client has not synced the room."""

    CODE = "E_UNKNOWN_ROOM"

    def __init__(self, room_id: str) -> None:
        super().__init__(f"no sync has told this client of the room {room_id}; sync first")


class StoreError(MatrixError):
    """The store cannot be opened, read or written."""

    CODE = "E_STORE"


class StoreLockedError(StoreError):
    """Another client has the store open."""

    CODE = "E_STORE_LOCKED"


class PassphraseError(StoreError):
    """The store is sealed, and the passphrase is missing or wrong."""

    CODE = "E_STORE_PASSPHRASE"


class NoIdentityError(MatrixError):
    """A user has no cross-signing identity."""

    CODE = "E_NO_IDENTITY"

    def __init__(self, user_id: str) -> None:
        super().__init__(f"{user_id} has no cross-signing identity")


class IdentityExistsError(MatrixError):
    """The account has an identity whose keys are not here."""

    CODE = "E_IDENTITY_EXISTS"

    def __init__(self) -> None:
        super().__init__("the account has an identity: verify_own_device, or reset_cross_signing")


class IdentityMismatchError(MatrixError):
    """A key is not the one that is published or was compared."""

    CODE = "E_IDENTITY_MISMATCH"


class MissingSecretError(MatrixError):
    """A secret that is needed is not here."""

    CODE = "E_MISSING_SECRET"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not here")


class RecoveryKeyError(MatrixError):
    """A recovery key or passphrase is none, or not the right one."""

    CODE = "E_RECOVERY_KEY"


class NoSecretStorageError(MatrixError):
    """The account has no secret storage."""

    CODE = "E_NO_SECRET_STORAGE"

    def __init__(self) -> None:
        super().__init__("the account has no secret storage")


class NoBackupError(MatrixError):
    """There is no key backup, or none in use."""

    CODE = "E_NO_BACKUP"

    def __init__(self) -> None:
        super().__init__("there is no key backup in use")


class BackupTrustError(MatrixError):
    """The key backup may be somebody else's."""

    CODE = "E_BACKUP_UNTRUSTED"

    def __init__(self) -> None:
        super().__init__("nobody who is trusted has signed the key backup")


class KeyFileError(MatrixError):
    """A key file cannot be read or written."""

    CODE = "E_KEY_FILE"


class NotHandledError(MatrixError):
    """The host has nobody to answer the question."""

    CODE = "E_NOT_HANDLED"


class InternalError(MatrixError):
    """A defect of libmatrix; the log has the places."""

    CODE = "E_INTERNAL"


def map_error(error: BaseException) -> MatrixError:
    """Any exception an operation ended with, as the error its host gets."""
    if isinstance(error, MatrixError):
        return error
    if isinstance(error, asyncio.CancelledError):
        return MatrixError("the request was cancelled", code="E_CANCELLED")
    if isinstance(error, TimeoutError):
        return MatrixError("the time given was not enough", code="E_TIMEOUT")
    if isinstance(error, OSError | ImportError) and descriptors.have_run_out(error):
        return MatrixError("the process has no file descriptor left", code="E_TOO_MANY_FILES")
    if isinstance(error, MemoryError):
        return MatrixError("memory is short", code="E_NO_MEMORY")
    return InternalError(f"a defect of libmatrix: {type(error).__name__}; the log has the places")


def map_arguments(error: msgspec.MsgspecError) -> ArgumentError:
    """Arguments that do not decode. msgspec's text names the field and the types, no values."""
    return ArgumentError(str(error))


def is_defect(error: BaseException) -> bool:
    """Whether the log should say where it came from."""
    return map_error(error).code == "E_INTERNAL" and not isinstance(error, MatrixError)


def places(error: BaseException) -> str:
    """Where an exception came from, innermost last: files, lines and functions, no values."""
    found = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        name = code.co_filename.rpartition("/")[2]
        found.append(f"{name}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__} at " + " > ".join(found[-12:])
