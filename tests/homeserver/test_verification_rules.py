"""Rules around verifications: policies, time, many at once, and who asks what he should not."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest

from libmatrix.crypto.verification import conclusions, contents, flow, manager, sender
from tests.support.dropping_proxy import DroppingProxy
from tests.support.encrypted import Talker, encrypted_room
from tests.support.homeserver import Account, Homeserver, HomeserverError
from tests.support.runtime_host import RuntimeHost

pytestmark = [
    pytest.mark.homeserver,
    pytest.mark.skipif("MATRIX_TEST_HOMESERVER" in os.environ, reason="registers users"),
]
STRICT = {"send_keys_to": "verified", "show_messages_from": "verified"}


class Verifier(Talker):
    """A client of a new user with an identity, and what it hears of verifications."""

    def __init__(self, host: RuntimeHost, homeserver: Homeserver, **options: Any) -> None:
        super().__init__(host, homeserver, homeserver.register(), **options)
        self.heard = host.subscribe(self.client, "verification")
        self.to_device = host.subscribe(self.client, "to_device")
        self.call("bootstrap_cross_signing", password=self.account.password)
        self.sync()

    def of(self, subscription: int) -> list[dict[str, Any]]:
        return [each.payload for each in self.host.events if each.target == subscription]

    def states(self, verification_id: str) -> list[str]:
        heard = self.of(self.heard)
        return [each["state"] for each in heard if each["verification_id"] == verification_id]

    def ask(self, other: Talker, **options: Any) -> str:
        made = self.call("request_verification", user_id=other.user_id, **options)
        return str(made["verification"]["verification_id"])

    def do(self, operation: str, verification_id: str) -> None:
        self.call(operation, verification_id=verification_id)

    def listed(self, verification_id: str) -> dict[str, Any]:
        found = self.call("verifications")["verifications"]
        return next(dict(each) for each in found if each["verification_id"] == verification_id)


Maker = Callable[..., Verifier]


@pytest.fixture
def make(host: RuntimeHost, homeserver: Homeserver) -> Maker:
    return lambda **options: Verifier(host, homeserver, **options)


def reach(everybody: list[Verifier], who: Verifier, verification_id: str, state: str) -> None:
    """Syncs all until one of them has heard of a state."""
    for _ in range(60):
        if state in who.states(verification_id):
            return
        for each in everybody:
            # Of a network that breaks, too.
            each.host.wait(each.host.submit(each.client, "sync_once", timeout_ms=200))
        who.host.settle(0.0)
    raise AssertionError(f"{who.states(verification_id)}, never {state}")


def finish(alice: Verifier, bob: Verifier, verification_id: str) -> None:
    """The rest of a verification that Bob has been asked for."""
    both = [alice, bob]
    reach(both, bob, verification_id, "requested")
    bob.do("accept_verification", verification_id)
    reach(both, alice, verification_id, "ready")
    alice.do("start_sas", verification_id)
    for each in both:
        reach(both, each, verification_id, "comparing")
        each.do("confirm_verification", verification_id)
    for each in both:
        reach(both, each, verification_id, "done")


@pytest.mark.parametrize("first, second", [(STRICT, STRICT), (STRICT, {}), ({}, STRICT)])
def test_who_trusts_nobody_yet_can_begin(
    make: Maker, homeserver: Homeserver, first: dict[str, str], second: dict[str, str]
) -> None:
    alice, bob = make(**first), make(**second)
    room_id = encrypted_room(homeserver, alice, bob)
    finish(alice, bob, alice.ask(bob, room_id=room_id))
    alice.send(room_id, "now in secret")
    event = bob.wait_message("now in secret")
    assert event["encryption"]["shield"] == "none"


def test_several_at_once(make: Maker, homeserver: Homeserver) -> None:
    alice, bob, carol = make(), make(), make()
    rooms = [encrypted_room(homeserver, alice, other) for other in (bob, carol)]
    with_bob, with_carol = alice.ask(bob, room_id=rooms[0]), alice.ask(carol, room_id=rooms[1])
    everybody = [alice, bob, carol]
    for other, name in ((bob, with_bob), (carol, with_carol)):
        reach(everybody, other, name, "requested")
        other.do("accept_verification", name)
    for name in (with_carol, with_bob):
        reach(everybody, alice, name, "ready")
        alice.do("start_sas", name)
    for other, name in ((bob, with_bob), (carol, with_carol)):
        for each in (alice, other):
            reach(everybody, each, name, "comparing")
            each.do("confirm_verification", name)
    for other, name in ((bob, with_bob), (carol, with_carol)):
        for each in (alice, other):
            reach(everybody, each, name, "done")
        assert alice.call("user_trust", user_id=other.user_id)["trust"] == "verified"


def test_both_ask_each_other(make: Maker) -> None:
    """Two verifications by to-device messages; either can be brought to its end."""
    alice, bob = make(), make()
    of_alice, of_bob = alice.ask(bob), bob.ask(alice)
    both = [alice, bob]
    reach(both, bob, of_alice, "requested")
    reach(both, alice, of_bob, "requested")
    finish(alice, bob, of_alice)
    alice.do("cancel_verification", of_bob)
    reach(both, bob, of_bob, "cancelled")


def test_device_that_asks_twice_has_both_cancelled(make: Maker) -> None:
    alice, bob = make(), make()
    first = alice.ask(bob)
    reach([bob], bob, first, "requested")
    second = alice.ask(bob)
    for name in (first, second):
        reach([bob, alice], alice, name, "cancelled")
        assert alice.listed(name)["cancel_code"] == "m.unexpected_message"
    assert bob.states(second) == []


def test_time_of_a_prompt_and_of_a_verification(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = make(), make()
    monkeypatch.setattr(manager, "PROMPT_MS", 1000)
    name = alice.ask(bob)
    reach([bob], bob, name, "requested")
    reach([bob], bob, name, "cancelled")
    assert bob.listed(name)["cancel_code"] == "m.timeout"
    alice.sync()
    assert alice.states(name) == ["requested"], "a prompt is put away without a word"
    alice.do("cancel_verification", name)

    monkeypatch.setattr(manager, "LIFE_MS", 1)
    name = alice.ask(bob)
    reach([alice], alice, name, "cancelled")
    assert alice.of(alice.heard)[-1]["cancel_code"] == "m.timeout"


def test_network_that_breaks(
    host: RuntimeHost, homeserver: Homeserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages go again, may arrive twice, and count once."""
    monkeypatch.setattr(sender, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(manager, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(conclusions, "_PAUSE_SECONDS", 0.05)
    with DroppingProxy(homeserver.url, 0) as proxy:
        bob = Verifier(host, dataclasses.replace(homeserver, url=proxy.url))
        alice = Verifier(host, homeserver)
        proxy._drop = 0.2
        finish(alice, bob, alice.ask(bob))
        proxy._drop = 0
        assert proxy.dropped > 0
        for one, other in ((alice, bob), (bob, alice)):
            assert one.call("user_trust", user_id=other.user_id)["trust"] == "verified"


# -- what others send -----------------------------------------------------------------------------


def send(server: Homeserver, account: Account, talker: Talker, kind: str, /, **content: Any) -> str:
    """A to-device message of anybody; its transaction id."""
    name = secrets.token_hex(8)
    path = f"/_matrix/client/v3/sendToDevice/m.key.verification.{kind}/{name}"
    whole = {"from_device": account.device_id, "transaction_id": name, **content}
    body = {"messages": {talker.user_id: {talker.device_id: whole}}}
    server.request("PUT", path, account.token, body)
    return name


def session_of(talker: Talker) -> Account:
    """What one needs to send messages in a client's name, past it."""
    token = json.loads(talker.call("export_session")["session"])["access_token"]
    return Account("", "", talker.user_id, token, talker.device_id)


def request_of(age_ms: int = 0) -> dict[str, Any]:
    return {"methods": ["m.sas.v1"], "timestamp": time.time_ns() // 1_000_000 - age_ms}


def test_requests_that_are_ignored(make: Maker, homeserver: Homeserver) -> None:
    alice, bob = make(), make()
    known = session_of(alice)
    stranger = homeserver.account()
    send(homeserver, stranger, bob, "request", **request_of())
    send(homeserver, known, bob, "request", **request_of(flow.LIFE_MS + 1000))
    send(homeserver, known, bob, "request", **request_of(-flow.AHEAD_MS - 10_000))
    send(homeserver, known, bob, "request", methods=["m.sas.v1"])
    send(homeserver, known, bob, "request", methods="m.sas.v1", timestamp=1)
    send(homeserver, known, bob, "request", **request_of(), transaction_id={"a": 1})
    send(homeserver, known, bob, "key", key="x")
    good = send(homeserver, known, bob, "request", **request_of())
    reach([bob], bob, good, "requested")
    assert {each["verification_id"] for each in bob.of(bob.heard)} == {good}


NASTY: list[Any] = [
    None, True, 0, -1, 2**62, 1.5, "", "x" * 5000, "\u0000", [], [[]], {}, {"a": {"b": []}},
    ["m.sas.v1"] * 100, [1, None], "ed25519:", "\ud83d\ude00",
]  # fmt: skip
FIELDS = (
    *("from_device", "transaction_id", "methods", "timestamp", "method", "key", "mac", "keys"),
    *("commitment", "hash", "code", "reason", "secret", "m.relates_to", "msgtype", "to"),
)


def test_malformed_messages_cost_nothing_else(make: Maker, homeserver: Homeserver) -> None:
    """Any field of any value in any message, to the device and in a room."""
    alice, bob = make(), make()
    room_id = encrypted_room(homeserver, alice, bob)
    account = session_of(alice)
    dice = random.Random(7)
    kinds = [kind.rpartition(".")[2] for kind in contents.TYPES]
    running = alice.ask(bob)
    reach([bob], bob, running, "requested")
    for number in range(60):
        said = {field: dice.choice(NASTY) for field in dice.sample(FIELDS, 5)}
        kind = kinds[number % len(kinds)]
        if number % 2:
            message = {**said, "msgtype": contents.REQUEST, "to": bob.user_id, "body": ""}
            # Some of it the homeserver refuses itself in rooms.
            with contextlib.suppress(HomeserverError):
                homeserver.send(account, room_id, f"m.key.verification.{kind}", said)
            with contextlib.suppress(HomeserverError):
                homeserver.send(account, room_id, "m.room.message", message)
        else:
            send(homeserver, account, bob, kind, **{**request_of(), **said})
    for _ in range(3):
        bob.sync()
    assert [log for log in bob.host.logs if log.get("code") == "E_INTERNAL"] == []
    listed = bob.call("verifications")["verifications"]
    assert all(each["state"] in ("requested", "cancelled") for each in listed)
    for each in listed:
        bob.do("cancel_verification", each["verification_id"])
    finish(alice, bob, alice.ask(bob, room_id=room_id))


def test_ready_of_nothing_is_answered(make: Maker, homeserver: Homeserver) -> None:
    alice, bob = make(), make()
    name = send(homeserver, session_of(alice), bob, "ready", methods=["m.sas.v1"])
    bob.sync()
    found = alice.sync_until(lambda: [each["content"] for each in alice.of(alice.to_device)])
    assert [(each["code"], each["transaction_id"]) for each in found] == [
        ("m.unknown_transaction", name)
    ]


def test_room_that_one_may_not_speak_in(make: Maker, homeserver: Homeserver) -> None:
    alice, bob = make(), make()
    room_id = encrypted_room(homeserver, bob)
    request = alice.host.submit(
        alice.client, "request_verification", user_id=bob.user_id, room_id=room_id
    )
    frame = alice.host.wait(request)
    assert not frame.is_ok and frame.payload["code"] == "M_FORBIDDEN"
    assert alice.call("verifications")["verifications"] == []
