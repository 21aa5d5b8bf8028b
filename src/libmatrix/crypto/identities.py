"""What is known of users' identities, and whether they can be trusted.

An identity is pinned when it is first seen; a user who comes with another one later is reported
until somebody accepts it or verifies the user anew. What counts as verified is proven by
signatures: one's own identity by this device, others by one's own identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Protocol

import msgspec

from libmatrix.crypto.identity import Identity, read_identity

UserTrust = Literal["unknown", "unverified", "verified", "changed", "violated"]

_TRUSTED_MASTER = "trusted_master"

_encode = msgspec.json.Encoder().encode


class Table(Protocol):
    """What is kept, by two names."""

    def get(self, first: str, second: str = "", /) -> bytes | None: ...

    def put(self, first: str, second: str, value: bytes, /) -> None: ...

    def delete(self, first: str, second: str = "", /) -> None: ...


class Known(msgspec.Struct, omit_defaults=True):
    """What is kept of a user's identity."""

    master: dict[str, Any]
    self_signing: dict[str, Any] | None = None
    user_signing: dict[str, Any] | None = None
    # The master key that was first seen, or accepted since.
    pinned: str = ""
    # The master key the user was verified with, even if it is another one by now.
    verified: str | None = None


class Change(msgspec.Struct, frozen=True):
    """A user has another identity than before."""

    user_id: str
    master_key: str
    old_master_key: str
    # Whether the user had been verified: then somebody should look at it.
    was_verified: bool


_decode = msgspec.json.Decoder(Known).decode


class Identities:
    """The identities of users and oneself."""

    def __init__(self, table: Table, values: Table, user_id: str) -> None:
        """`table`: by user id; `values`: single values by name."""
        self._table = table
        self._values = values
        self._user_id = user_id
        # Read and checked once.
        self._read: dict[str, tuple[Known, Identity] | None] = {}

    def of(self, user_id: str) -> Identity | None:
        """A user's identity as it was last seen."""
        found = self._find(user_id)
        return found[1] if found is not None else None

    @property
    def own(self) -> Identity | None:
        """One's own identity, whether it is trusted or not."""
        return self.of(self._user_id)

    @property
    def is_own_trusted(self) -> bool:
        """Whether this device knows that the identity published as its user's is that."""
        own, trusted = self.own, self._values.get(_TRUSTED_MASTER)
        return own is not None and trusted is not None and trusted.decode() == own.master.key

    def trust_own(self, master_key: str) -> None:
        """This device is sure of its user's identity: it made it, or holds its secret."""
        self._values.put(_TRUSTED_MASTER, "", master_key.encode())
        self._read = {}

    def take(
        self, user_id: str, master: Any, self_signing: Any = None, user_signing: Any = None
    ) -> Change | None:
        """Takes what /keys/query says of a user, of any shape; tells when it is someone else.

        An identity that is not there any more stays: a homeserver must not make one go away.
        """
        identity = read_identity(user_id, master, self_signing, user_signing)
        if identity is None:
            return None
        found = self._find(user_id)
        known = Known(identity.master.raw, pinned=identity.master.key)
        if found is not None:
            known.pinned, known.verified = found[0].pinned, found[0].verified
            if found[1].master.key == identity.master.key:
                self._keep_own_signature(found[1], identity)
        known.self_signing = identity.self_signing.raw if identity.self_signing else None
        known.user_signing = identity.user_signing.raw if identity.user_signing else None
        self._keep(user_id, known, identity)
        if found is None or found[1].master.key == identity.master.key:
            return None
        old_key = found[1].master.key
        return Change(user_id, identity.master.key, old_key, known.verified is not None)

    def accept(self, user_id: str) -> bool:
        """Takes a user's identity as it is, verified before or not; False without one."""
        found = self._find(user_id)
        if found is None:
            return False
        known, identity = found
        known.pinned = identity.master.key
        if known.verified != identity.master.key:
            known.verified = None
        self._keep(user_id, known, identity)
        return True

    def trust_of(self, user_id: str) -> UserTrust:
        """How far a user's identity can be trusted.

        `changed`: it is not the one that was pinned; `violated`: the user had been verified and
        has another identity since.
        """
        found = self._find(user_id)
        if found is None:
            return "unknown"
        known, identity = found
        key = identity.master.key
        if self._is_verified(identity):
            if known.verified != key or known.pinned != key:
                known.verified = known.pinned = key
                self._keep(user_id, known, identity)
            return "verified"
        if known.verified is not None and known.verified != key:
            return "violated"
        return "unverified" if known.pinned == key else "changed"

    def is_cross_signed(self, user_id: str, device_keys: Any) -> bool:
        """Whether a device's owner, whoever that is, vouches for it."""
        identity = self.of(user_id)
        return identity is not None and identity.owns_device(device_keys)

    # -- inside -------------------------------------------------------------------------------

    def _is_verified(self, identity: Identity) -> bool:
        own = self.own
        if own is None or not self.is_own_trusted:
            return False
        return identity.user_id == self._user_id or own.has_verified(identity)

    def _keep_own_signature(self, old: Identity, new: Identity) -> None:
        """Who was verified stays so, also when the homeserver leaves the proof out."""
        own = self.own
        if own is None or own.user_signing is None:
            return
        if own.has_verified(old) and not own.has_verified(new):
            signatures = new.master.raw.setdefault("signatures", {})
            key_id = own.user_signing.key_id
            mine = old.master.raw["signatures"][self._user_id][key_id]
            if isinstance(signatures, dict):
                theirs = signatures.setdefault(self._user_id, {})
                if isinstance(theirs, dict):
                    theirs[key_id] = mine

    def _find(self, user_id: str) -> tuple[Known, Identity] | None:
        if user_id not in self._read:
            self._read[user_id] = self._load(user_id)
        return self._read[user_id]

    def _load(self, user_id: str) -> tuple[Known, Identity] | None:
        data = self._table.get(user_id)
        if data is None:
            return None
        known = _decode(data)
        identity = read_identity(user_id, known.master, known.self_signing, known.user_signing)
        return (known, identity) if identity is not None else None

    def _keep(self, user_id: str, known: Known, identity: Identity) -> None:
        self._table.put(user_id, "", _encode(known))
        self._read[user_id] = (known, identity)


def read_query(answer: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    """The users in an answer to /keys/query, each with the three keys for `Identities.take`."""
    if not isinstance(answer, dict):
        return
    parts = [answer.get(name) for name in ("master_keys", "self_signing_keys", "user_signing_keys")]
    masters, *others = [part if isinstance(part, dict) else {} for part in parts]
    for user_id, master in masters.items():
        yield user_id, master, *(part.get(user_id) for part in others)
