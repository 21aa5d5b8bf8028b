"""Who a client is at its homeserver, and that as one text to take elsewhere.

The text is JSON: `format` and `version`, then the fields of `Session` that are set. docs/session.md
has them all. It is as secret as a password, and so is every repr here.
"""

from __future__ import annotations

import time

import msgspec

from libmatrix.errors import ArgumentError

FORMAT = "libmatrix.session"
VERSION = 1


class Hidden(msgspec.Struct):
    """Base of what holds tokens: a repr shows none of it."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class OAuth(msgspec.Struct, frozen=True, kw_only=True):
    """How a session that OAuth 2.0 began is renewed and ended."""

    issuer: str
    client_id: str


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A user and a device, with an access token while logged in."""

    user_id: str | None = None
    device_id: str | None = None
    access_token: str | None = None
    refresh_token: str | None = None
    # When the access token expires, by the wall clock, in ms since 1970.
    expires_at_ms: int | None = None
    homeserver: str | None = None
    oauth: OAuth | None = None

    def __repr__(self) -> str:
        token = "set" if self.access_token else None
        return f"Session({self.user_id!r}, {self.device_id!r}, access_token={token})"

    @property
    def is_logged_in(self) -> bool:
        """Whether there is a token."""
        return self.access_token is not None

    def without_tokens(self, *, keeps_device: bool) -> Session:
        """What is left when the homeserver has ended it; a device only after a soft logout."""
        return msgspec.structs.replace(
            self,
            access_token=None,
            refresh_token=None,
            expires_at_ms=None,
            device_id=self.device_id if keeps_device else None,
            oauth=self.oauth if keeps_device else None,
        )


class _Head(msgspec.Struct):
    format: str
    version: int


_encode = msgspec.json.Encoder().encode


def export_text(session: Session) -> str:
    """The session as the text that `import_text` takes."""
    fields = {"format": FORMAT, "version": VERSION, **msgspec.to_builtins(session)}
    return _encode(fields).decode()


def import_text(text: str) -> Session:
    """The session of such a text. Errors say what is wrong, never what is in it.

    Raises `ArgumentError`.
    """
    try:
        head = msgspec.json.decode(text, type=_Head)
        if head.format != FORMAT:
            raise ArgumentError("session: not what export_session gave")
        if head.version > VERSION:
            raise ArgumentError("session: exported by a newer libmatrix")
        session = msgspec.json.decode(text, type=Session)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ArgumentError("session: not what export_session gave") from None
    if head.version < 1 or not (session.user_id and session.device_id and session.access_token):
        raise ArgumentError("session: lacks what a session has")
    return session


def expiry(expires_in_ms: int | None) -> int | None:
    """When a token expires that is good for so long from now."""
    if expires_in_ms is None or not 0 < expires_in_ms < 10 * 365 * 86_400_000:
        return None
    return time.time_ns() // 1_000_000 + expires_in_ms
