"""Two ends of a verification in one process, and an end that follows the specification's formulas.

Nothing here talks to a network: `Pair` carries what one end sends to the other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from Crypto.Protocol.DH import key_agreement
from Crypto.PublicKey import ECC

from libmatrix.crypto.signatures import SigningKey
from libmatrix.crypto.verification import contents
from libmatrix.crypto.verification.contents import Message, Party, read
from libmatrix.crypto.verification.flow import Verification

ALICE = Party("@alice:x", "ALICEDEVICE")
BOB = Party("@bob:x", "BOBDEVICE")
OTHER_ALICE = Party("@alice:x", "SECONDDEVICE")
SAS_ONLY = [contents.SAS]
ALL_METHODS = [contents.SAS, contents.SHOW, contents.SCAN, contents.RECIPROCATE]


def new_key() -> str:
    """A public key."""
    return SigningKey.create().public_key


class Keys:
    """Keys of one end, and what it knows of the other's."""

    def __init__(self, party: Party, master: str | None, *, trusts_own: bool = True) -> None:
        self.party = party
        self.device_key = new_key()
        self.masters = {party.user_id: master} if master else {}
        self.is_trusting = trusts_own and master is not None
        self.known: dict[Party, str] = {}

    def meet(self, other: Keys) -> None:
        """Learns the other's keys as the homeserver would tell them."""
        self.known[other.party] = other.device_key
        for user_id, master in other.masters.items():
            self.masters.setdefault(user_id, master)

    def own(self) -> dict[str, str]:
        found = {f"ed25519:{self.party.device_id}": self.device_key}
        if self.is_trusting:
            master = self.masters[self.party.user_id]
            found[f"ed25519:{master}"] = master
        return found

    def other(self, party: Party) -> dict[str, str]:
        found = {}
        if party in self.known:
            found[f"ed25519:{party.device_id}"] = self.known[party]
        if master := self.master(party.user_id):
            found[f"ed25519:{master}"] = master
        return found

    def master(self, user_id: str) -> str | None:
        return self.masters.get(user_id)

    def trusts_own(self) -> bool:
        return self.is_trusting


Tamper = Callable[[Message], Message | None]


class Pair:
    """Two ends. `tamper` may change or hold back what the second sends to the first."""

    def __init__(self, first: Party = ALICE, second: Party = BOB, *, room: bool = False) -> None:
        self.first, self.second = first, second
        masters = {party.user_id: new_key() for party in (first, second)}
        self.keys = {party: Keys(party, masters[party.user_id]) for party in (first, second)}
        self.keys[first].meet(self.keys[second])
        self.keys[second].meet(self.keys[first])
        self.id = "$request" if room else "transaction"
        self.room_id = "!r:x" if room else None
        self.sent: list[tuple[Party, Message]] = []
        self.tamper: Tamper = lambda message: message
        self.ends = {first: self._make(first, second), second: self._make(second, first)}

    def _make(self, own: Party, other: Party) -> Verification:
        return Verification(
            own,
            other.user_id,
            self.id,
            self.keys[own],
            is_outgoing=own == self.first,
            expires_ms=600_000,
            room_id=self.room_id,
            devices=() if self.room_id else (other.device_id,),
        )

    @property
    def a(self) -> Verification:
        """The end that asks."""
        return self.ends[self.first]

    @property
    def b(self) -> Verification:
        """The end that is asked."""
        return self.ends[self.second]

    def ask(self, methods: list[str] = SAS_ONLY) -> None:
        """The request, by whatever transport, has come to the second end."""
        if self.room_id is None:
            self.a.request(methods, now_ms=1)
            [message] = self.a.outbox
            self.a.outbox.clear()
            self.sent.append((self.first, message))
            content = message.content
        else:
            self.a.methods = methods
            content = {"from_device": self.first.device_id, "methods": methods}
        request = read(content, contents.Request)
        assert request is not None
        self.b.asked(request)

    def agree(self, methods: list[str] = SAS_ONLY) -> None:
        """Request and ready."""
        self.ask(methods)
        self.b.accept(methods)
        self.carry()
        assert (self.a.state, self.b.state) == ("ready", "ready")

    def carry(self) -> None:
        """Delivers until nobody has anything to send."""
        while self.a.outbox or self.b.outbox:
            self.carry_one(self.first)
            self.carry_one(self.second)

    def carry_one(self, sender: Party) -> None:
        """Delivers what one end has sent."""
        receiver = self.second if sender == self.first else self.first
        messages, self.ends[sender].outbox = self.ends[sender].outbox, []
        for message in messages:
            self.sent.append((sender, message))
            changed = self.tamper(message) if sender == self.second else message
            if changed is not None:
                self.ends[receiver].receive(changed.type, changed.content)

    def types(self) -> list[str]:
        """What was sent, without the common beginning of the types."""
        return [message.type.rpartition(".")[2] for _, message in self.sent]


def run_sas(pair: Pair) -> None:
    """From ready to the strings on both sides."""
    pair.a.start_sas()
    pair.carry()
    assert (pair.a.state, pair.b.state) == ("comparing", "comparing")


def strings(end: Verification) -> tuple[Any, Any]:
    assert end.steps is not None
    return end.steps.sas.emoji, end.steps.sas.decimals


# -- by the formulas ------------------------------------------------------------------------------


def unpadded(data: bytes) -> str:
    """Base64 as Matrix writes it."""
    return base64.b64encode(data).decode().rstrip("=")


def hkdf(secret: bytes, info: str, size: int) -> bytes:
    """RFC 5869 with SHA-256 and no salt."""
    key = hmac.digest(bytes(32), secret, "sha256")
    block = output = b""
    for count in range(1, size // 32 + 2):
        block = hmac.digest(key, block + info.encode() + bytes((count,)), "sha256")
        output += block
    return output[:size]


class Formulas:
    """The accepting end of SAS, written from the specification, sharing no code with ours."""

    def __init__(self, own: Party, other: Party, verification_id: str) -> None:
        self.own, self.other, self.id = own, other, verification_id
        self._key = ECC.generate(curve="Curve25519")
        self.public_key = unpadded(self._key.public_key().export_key(format="raw"))
        self._secret = b""
        self._other_key = ""

    def commitment(self, canonical_start: str) -> str:
        """What the accept message promises."""
        return unpadded(hashlib.sha256((self.public_key + canonical_start).encode()).digest())

    def agree(self, other_key: str) -> None:
        """Takes the starter's key."""
        self._other_key = other_key
        raw = base64.b64decode(other_key + "=")
        public = ECC.construct(
            curve="Curve25519", point_x=int.from_bytes(raw, "little") & (2**255 - 1)
        )
        self._secret = key_agreement(
            static_priv=self._key, static_pub=public, kdf=lambda secret: secret
        )

    def strings(self) -> tuple[list[int], list[int]]:
        """The numbers of the emoji, and the decimals."""
        parts = (*self.other, self._other_key, *self.own, self.public_key, self.id)
        data = hkdf(self._secret, "|".join(("MATRIX_KEY_VERIFICATION_SAS", *parts)), 6)
        bits = int.from_bytes(data, "big")
        emoji = [bits >> (42 - 6 * place) & 63 for place in range(7)]
        first = int.from_bytes(data[:5], "big")
        return emoji, [(first >> shift & 8191) + 1000 for shift in (27, 14, 1)]

    def mac(self, text: str, name: str, *, of_other: bool = False) -> str:
        """The MAC of a key or of the list of key ids."""
        sender, receiver = (self.other, self.own) if of_other else (self.own, self.other)
        info = "".join(("MATRIX_KEY_VERIFICATION_MAC", *sender, *receiver, self.id, name))
        return unpadded(hmac.digest(hkdf(self._secret, info, 32), text.encode(), "sha256"))

    def macs(self, keys: dict[str, str]) -> dict[str, Any]:
        """The content of the mac message."""
        listed = self.mac(",".join(sorted(keys)), "KEY_IDS")
        return {
            "mac": {key_id: self.mac(key, key_id) for key_id, key in keys.items()},
            "keys": listed,
        }
