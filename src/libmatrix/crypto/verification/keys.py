"""The keys that a verification is about."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from libmatrix.crypto.verification.contents import Party


class Keys(Protocol):
    """The keys there are to vouch for; maps by key id: ed25519:DEVICE or ed25519:<master key>."""

    def own(self) -> dict[str, str]:
        """This device's key, and the user's master key where this device trusts it."""
        ...

    def other(self, party: Party) -> dict[str, str]:
        """The other device's key and its user's master key, as far as they are known."""
        ...

    def master(self, user_id: str) -> str | None:
        """A user's master key, trusted or not."""
        ...

    def trusts_own(self) -> bool:
        """Whether this device trusts its own user's master key."""
        ...


class Verified(NamedTuple):
    """What the other side has proven to hold: keys by key id."""

    party: Party
    keys: dict[str, str]
