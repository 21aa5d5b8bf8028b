"""Who a client is at its homeserver."""

from __future__ import annotations

import msgspec


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A user and a device, with an access token while logged in."""

    user_id: str | None = None
    device_id: str | None = None
    access_token: str | None = None

    def __repr__(self) -> str:
        token = "set" if self.access_token else None
        return f"Session({self.user_id!r}, {self.device_id!r}, access_token={token})"

    @property
    def is_logged_in(self) -> bool:
        """Whether there is a token."""
        return self.access_token is not None
