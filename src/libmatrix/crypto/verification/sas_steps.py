"""The steps of SAS within a verification: who sends which message when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libmatrix.crypto.verification import contents
from libmatrix.crypto.verification.sas import Sas, commitment

if TYPE_CHECKING:
    from libmatrix.crypto.verification.flow import Verification

_MACS = (contents.MAC_METHOD, contents.OLD_MAC_METHOD)
_STRINGS = ("decimal", "emoji")


def make_start(device_id: str) -> dict[str, Any]:
    """The content of the message that begins SAS."""
    return {
        "from_device": device_id,
        "method": contents.SAS,
        "key_agreement_protocols": [contents.AGREEMENT],
        "hashes": [contents.HASH],
        "message_authentication_codes": list(_MACS),
        "short_authentication_string": list(_STRINGS),
    }


class SasSteps:
    """SAS of one verification, from the start message that counts to the MACs."""

    def __init__(self, flow: Verification, start: dict[str, Any], *, is_starter: bool) -> None:
        self._flow = flow
        self._start = start
        self.is_starter = is_starter
        self.sas = Sas(flow.own, flow.party, flow.id, is_starter=is_starter)
        # Which strings both sides can show, as decimal and emoji.
        self.short_strings: list[str] = []
        self._promise: str | None = None
        self.has_accepted = False
        self._has_key = False

    @property
    def has_answer(self) -> bool:
        """Whether the other side has taken up the start."""
        return self._promise is not None

    def take_start(self, start: contents.SasStart) -> bool:
        """What the other side can do; False when there is nothing in common."""
        macs = start.message_authentication_codes
        offered = start.short_authentication_string
        self.short_strings = [kind for kind in _STRINGS if kind in offered]
        known = [method for method in _MACS if method in macs]
        if known:
            self.sas.mac_method = known[0]
        return bool(
            known
            and self.short_strings
            and contents.AGREEMENT in start.key_agreement_protocols
            and contents.HASH in start.hashes
        )

    def accept(self) -> None:
        """Answers the other side's start."""
        try:
            promise = commitment(self.sas.public_key, self._start)
        except ValueError:
            self._flow.cancel("m.invalid_message")
            return
        self.has_accepted = True
        content = {
            "method": contents.SAS,
            "key_agreement_protocol": contents.AGREEMENT,
            "hash": contents.HASH,
            "message_authentication_code": self.sas.mac_method,
            "short_authentication_string": self.short_strings,
            "commitment": promise,
        }
        self._flow.send(contents.ACCEPT, content)

    def receive(self, kind: str, content: dict[str, Any]) -> None:
        """Takes accept, key or mac."""
        if kind == contents.ACCEPT:
            self._take_accept(content)
        elif kind == contents.KEY:
            self._take_key(content)
        elif kind == contents.MAC:
            self._take_mac(content)
        else:
            self._flow.cancel("m.unexpected_message")

    def confirm(self) -> None:
        """Vouches for this side's keys."""
        self._flow.send(contents.MAC, self.sas.macs(self._flow.keys.own()))

    def _take_accept(self, content: dict[str, Any]) -> None:
        accept = self._flow.read(content, contents.Accept)
        if accept is None:
            return
        if not self.is_starter or self._promise is not None:
            self._flow.cancel("m.unexpected_message")
            return
        chosen = accept.short_authentication_string
        if (
            accept.key_agreement_protocol != contents.AGREEMENT
            or accept.hash != contents.HASH
            or accept.message_authentication_code not in _MACS
            or not chosen
            or not set(chosen) <= set(_STRINGS)
        ):
            self._flow.cancel("m.unknown_method")
            return
        self._promise = accept.commitment
        self.sas.mac_method = accept.message_authentication_code
        self.short_strings = chosen
        self._flow.send(contents.KEY, {"key": self.sas.public_key})

    def _take_key(self, content: dict[str, Any]) -> None:
        key = self._flow.read(content, contents.Key)
        if key is None:
            return
        is_due = self._promise is not None if self.is_starter else self.has_accepted
        if not is_due or self._has_key:
            self._flow.cancel("m.unexpected_message")
            return
        if self._promise is not None and not self._is_promised(key.key):
            self._flow.cancel("m.mismatched_commitment")
            return
        try:
            self.sas.agree(key.key)
        except ValueError:
            self._flow.cancel("m.invalid_message")
            return
        self._has_key = True
        if not self.is_starter:
            self._flow.send(contents.KEY, {"key": self.sas.public_key})
        self._flow.compare()

    def _is_promised(self, key: str) -> bool:
        assert self._promise is not None
        return commitment(key, self._start) == self._promise.rstrip("=")

    def _take_mac(self, content: dict[str, Any]) -> None:
        mac = self._flow.read(content, contents.Mac)
        if mac is None:
            return
        if not self._has_key or self._flow.verified is not None:
            self._flow.cancel("m.unexpected_message")
            return
        vouched = self.sas.check(mac, self._flow.keys.other(self._flow.party))
        if not vouched:
            self._flow.cancel("m.key_mismatch")
            return
        self._flow.proven(vouched)
