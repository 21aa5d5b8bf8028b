"""One verification: what the host and the other device do, and what is to be sent for it.

No clock, network or store here: `Verifications` gives it what comes, sends what it puts into its
`outbox`, and acts on its end. Specification: client-server API, key verification framework.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from libmatrix.crypto.verification import contents
from libmatrix.crypto.verification.contents import Message, Party
from libmatrix.crypto.verification.keys import Keys, Verified
from libmatrix.crypto.verification.qr import ShownCode, check_scanned, encode
from libmatrix.crypto.verification.sas_steps import SasSteps, make_start
from libmatrix.errors import ArgumentError

State = Literal["requested", "ready", "started", "comparing", "confirmed", "done", "cancelled"]
T = TypeVar("T")

# A verification ends when so much time has passed since its request.
LIFE_MS = 600_000
# An incoming request that nobody looks at is put away.
PROMPT_MS = 120_000
# How far the clock of who asks may be ahead.
AHEAD_MS = 300_000

_REASONS = {
    "m.user": "the user cancelled the verification",
    "m.timeout": "the verification took too long",
    "m.accepted": "another device takes part",
    "m.unknown_method": "there is no common way to verify",
    "m.unexpected_message": "a message came out of order",
    "m.invalid_message": "a message is malformed",
    "m.key_mismatch": "the keys are not those that were expected",
    "m.mismatched_commitment": "the key is not the one that was promised",
    "m.mismatched_sas": "the short authentication strings differ",
}


class Verification:
    """One verification, in the eyes of one side."""

    def __init__(
        self,
        own: Party,
        user_id: str,
        verification_id: str,
        keys: Keys,
        *,
        is_outgoing: bool,
        expires_ms: int,
        room_id: str | None = None,
        devices: tuple[str, ...] = (),
    ) -> None:
        """`devices`: the devices of the other user that may take part, for to-device messages."""
        self.own = own
        self.user_id = user_id
        self.id = verification_id
        self.keys = keys
        self.room_id = room_id
        self.is_outgoing = is_outgoing
        self.expires_ms = expires_ms
        self.state: State = "requested"
        self.device_id: str | None = None
        self.methods: list[str] = []
        self.method: str | None = None
        self.steps: SasSteps | None = None
        self.cancel_code: str | None = None
        self.cancel_reason: str | None = None
        self.is_cancelled_by_other = False
        self.verified: Verified | None = None
        self.outbox: list[Message] = []
        self._devices = devices
        self._other_methods: list[str] = []
        self._shown: ShownCode | None = None
        self._is_starter = False
        self._has_sent_done = False
        # A start without a request, as old clients send it, is not followed by a done.
        self._wants_done = True

    # -- what one can ask ---------------------------------------------------------------------

    @property
    def party(self) -> Party:
        """The other device; only once it is known."""
        assert self.device_id is not None
        return Party(self.user_id, self.device_id)

    @property
    def is_own_user(self) -> bool:
        """Between two devices of one user."""
        return self.user_id == self.own.user_id

    @property
    def is_over(self) -> bool:
        """Nothing happens any more."""
        return self.state in ("done", "cancelled")

    @property
    def common_methods(self) -> list[str]:
        """The ways to verify that both sides know."""
        return [method for method in self.methods if _partner(method) in self._other_methods]

    @property
    def offered_methods(self) -> list[str]:
        """Those both sides know, by this side's names; before it has agreed the other side's."""
        if not self.methods:
            return [_partner(method) for method in self._other_methods]
        return self.common_methods if self._other_methods else self.methods

    # -- the host -----------------------------------------------------------------------------

    def request(self, methods: list[str], now_ms: int) -> None:
        """Asks the other user's devices; only for to-device messages."""
        self.methods = methods
        content = {"from_device": self.own.device_id, "methods": methods, "timestamp": now_ms}
        self.send(contents.REQUEST, content)

    def accept(self, methods: list[str]) -> None:
        """Agrees to an incoming request, or to a start that came without one."""
        if self.state == "started" and self.steps is not None and not self.methods:
            self.methods = methods
            self.steps.accept()
            return
        if self.is_outgoing or self.state != "requested":
            raise ArgumentError("the verification does not wait to be accepted")
        self.methods = methods
        if not self.common_methods:
            raise ArgumentError("methods: the other device knows none of them")
        self.state = "ready"
        self.send(contents.READY, {"from_device": self.own.device_id, "methods": methods})

    def start_sas(self) -> None:
        """Begins to compare emoji or numbers. Where the other side has begun, it goes on."""
        if self.steps is not None and self.state in ("started", "comparing"):
            return
        self._require_ready(contents.SAS)
        start = self.send(contents.START, make_start(self.own.device_id))
        self._begin_sas(start, is_starter=True)

    def show_qr(self) -> bytes:
        """What the host is to show as a QR code."""
        self._require_ready(contents.SHOW, contents.RECIPROCATE)
        if self._shown is None:
            self._shown = ShownCode(self)
        return encode(self._shown.code)

    def scan_qr(self, data: bytes) -> None:
        """Takes what the host has scanned on the other device."""
        self._require_ready(contents.SCAN, contents.RECIPROCATE)
        start, proven = check_scanned(self, data)
        if not proven:
            self.cancel("m.key_mismatch")
            return
        self.method, self.state, self._is_starter = contents.RECIPROCATE, "confirmed", True
        self.verified = Verified(self.party, proven)
        self.send(contents.START, start)

    def confirm(self) -> None:
        """The strings are the same on both sides, or the other device says that it scanned."""
        if self.state != "comparing":
            raise ArgumentError("there is nothing to confirm")
        self.state = "confirmed"
        if self.steps is not None:
            self.steps.confirm()
            self._finish_if_mutual()
        elif self._shown is not None:
            self.proven(self._shown.verified())

    def mismatch(self) -> None:
        """The strings differ: somebody is in between."""
        if self.state != "comparing":
            raise ArgumentError("there is nothing to compare")
        self.cancel("m.mismatched_sas" if self.steps is not None else "m.key_mismatch")

    def cancel(self, code: str = "m.user", reason: str | None = None) -> None:
        """Ends it from this side; after its end nothing happens."""
        if self.is_over:
            return
        self._end(code, reason or _REASONS.get(code, code), by_other=False)
        self.send(contents.CANCEL, {"code": code, "reason": self.cancel_reason})

    def fail(self, code: str, reason: str) -> None:
        """This side cannot go on; there is no way to tell the other."""
        self.outbox.clear()
        self._end(code, reason, by_other=False)

    # -- the clock, and other devices of this user --------------------------------------------

    def expire(self) -> None:
        """The time is over. An unanswered prompt is put away without a word."""
        if self.state == "requested" and not self.is_outgoing:
            self._end("m.timeout", _REASONS["m.timeout"], by_other=False)
        elif self._has_sent_done and self.verified is not None:
            # Both sides have seen proof; only the other's last word is missing.
            self.state = "done"
        else:
            self.cancel("m.timeout")

    def taken_elsewhere(self, code: str = "m.accepted") -> None:
        """Another device of this user has answered the request."""
        if self.state == "requested" and not self.is_outgoing:
            self._end(code, _REASONS.get(code, code), by_other=False)

    # -- the other side -----------------------------------------------------------------------

    def asked(self, request: contents.Request) -> None:
        """The request of the other device has come."""
        self.device_id = request.from_device
        self._other_methods = request.methods

    def started_alone(self, content: dict[str, Any]) -> bool:
        """Takes a start without a request, as old clients send it; False when it is none."""
        start = contents.read(content, contents.Start)
        if start is None or start.method != contents.SAS:
            return False
        self.device_id = start.from_device
        self._other_methods = [contents.SAS]
        self._wants_done = False
        self._take_sas_start(content)
        return True

    def receive(self, kind: str, content: dict[str, Any]) -> None:
        """Takes the other side's next message, of any content."""
        if self.is_over:
            return
        handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            contents.CANCEL: self._take_cancel,
            contents.READY: self._take_ready,
            contents.START: self._take_start,
            contents.DONE: self._take_done,
        }
        if kind in handlers:
            handlers[kind](content)
        elif self.steps is not None:
            self.steps.receive(kind, content)
        else:
            self.cancel("m.unexpected_message")

    def _take_cancel(self, content: dict[str, Any]) -> None:
        said = contents.read(content, contents.Cancel) or contents.Cancel()
        was_asking = self.state == "requested" and self.is_outgoing
        self._end(said.code, said.reason, by_other=True)
        if was_asking and len(self._devices) > 1:
            # One of several devices has declined: the others need not ask any more.
            self.send(contents.CANCEL, {"code": said.code, "reason": said.reason})

    def _take_ready(self, content: dict[str, Any]) -> None:
        ready = self.read(content, contents.Ready)
        if ready is None:
            return
        if self.device_id is not None or not self.is_outgoing:
            self._refuse_second(ready.from_device)
            return
        self.device_id = ready.from_device
        self._other_methods = ready.methods
        self.state = "ready"
        others = tuple(device for device in self._devices if device != self.device_id)
        if others:
            self._tell_accepted(others)
        if not self.common_methods:
            self.cancel("m.unknown_method")

    def _refuse_second(self, device_id: str) -> None:
        if device_id == self.device_id:
            self.cancel("m.unexpected_message")
        elif self.room_id is None:
            self._tell_accepted((device_id,))

    def _tell_accepted(self, devices: tuple[str, ...]) -> None:
        content = {"code": "m.accepted", "reason": _REASONS["m.accepted"]}
        self.send(contents.CANCEL, content, devices)

    def _take_start(self, content: dict[str, Any]) -> None:
        start = self.read(content, contents.Start)
        if start is None:
            return
        if self.device_id is not None and start.from_device != self.device_id:
            return
        if self.state not in ("ready", "started"):
            self.cancel("m.unexpected_message")
        elif start.method not in self.common_methods:
            self.cancel("m.unknown_method")
        elif self.state == "started" and not self._gives_way(start.method):
            return
        elif start.method == contents.SAS:
            self._take_sas_start(content)
        else:
            self._take_reciprocate(content)

    def _gives_way(self, method: str) -> bool:
        """Both have started: the smaller name counts. Whether the other's start is taken up."""
        is_answered = self.steps is None or self.steps.has_answer
        if not self._is_starter or is_answered or method != self.method:
            self.cancel("m.unexpected_message")
            return False
        return self.party < self.own

    def _take_sas_start(self, content: dict[str, Any]) -> None:
        start = self.read(content, contents.SasStart)
        if start is None:
            return
        self._begin_sas(content, is_starter=False)
        assert self.steps is not None
        if not self.steps.take_start(start):
            self.cancel("m.unknown_method")
        elif self._wants_done:
            self.steps.accept()

    def _take_reciprocate(self, content: dict[str, Any]) -> None:
        start = self.read(content, contents.ReciprocateStart)
        if start is None:
            return
        if self._shown is None:
            self.cancel("m.unexpected_message")
        elif not self._shown.take_start(start):
            self.cancel("m.key_mismatch")
        else:
            self.method = contents.RECIPROCATE
            self.compare()

    def _take_done(self, content: dict[str, Any]) -> None:
        if self.state != "confirmed" or self.verified is None:
            self.cancel("m.unexpected_message")
            return
        if not self._has_sent_done:
            self._send_done()
        self.state = "done"

    # -- for the steps of a method ------------------------------------------------------------

    def compare(self) -> None:
        """Now the host has something to compare or to confirm."""
        self.state = "comparing"

    def proven(self, keys: dict[str, str]) -> None:
        """The other side holds these keys."""
        self.verified = Verified(self.party, keys)
        self._finish_if_mutual()

    def read(self, content: dict[str, Any], kind: type[T]) -> T | None:
        """A content as a struct; a malformed one ends the verification."""
        found = contents.read(content, kind)
        if found is None:
            self.cancel("m.invalid_message")
        return found

    def send(
        self, kind: str, content: dict[str, Any], devices: tuple[str, ...] | None = None
    ) -> dict[str, Any]:
        """Puts a message into the outbox; gives its content as it goes out."""
        if self.room_id is not None:
            relation = {"rel_type": "m.reference", "event_id": self.id}
            whole, devices = {**content, "m.relates_to": relation}, ()
        else:
            whole = {**content, "transaction_id": self.id}
            if devices is None:
                devices = self._devices if self.device_id is None else (self.device_id,)
        self.outbox.append(Message(kind, whole, devices))
        return whole

    # -- inside -------------------------------------------------------------------------------

    def _require_ready(self, *methods: str) -> None:
        if self.state != "ready":
            raise ArgumentError("the verification is not ready")
        for method in methods:
            if method not in self.common_methods:
                raise ArgumentError(f"the devices do not both know {method}")

    def _begin_sas(self, start: dict[str, Any], *, is_starter: bool) -> None:
        self.method, self.state, self._is_starter = contents.SAS, "started", is_starter
        self.steps = SasSteps(self, start, is_starter=is_starter)

    def _finish_if_mutual(self) -> None:
        if self.state != "confirmed" or self.verified is None:
            return
        if self._wants_done:
            self._send_done()
        else:
            self.state = "done"

    def _send_done(self) -> None:
        self._has_sent_done = True
        self.send(contents.DONE, {})

    def _end(self, code: str, reason: str, *, by_other: bool) -> None:
        self.state = "cancelled"
        self.cancel_code, self.cancel_reason = code, reason
        self.is_cancelled_by_other = by_other
        self.verified = None


def _partner(method: str) -> str:
    """What the other side has to know for a method of this side."""
    return {contents.SHOW: contents.SCAN, contents.SCAN: contents.SHOW}.get(method, method)
