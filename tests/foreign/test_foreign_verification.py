"""Verifications with a foreign client on the other end: of users, and of devices of one user."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.driver import Driver, driver
from tests.support.foreign import ForeignClient
from tests.support.homeserver import Account, Homeserver

pytestmark = pytest.mark.homeserver
Maker = Callable[..., ForeignClient]

ALL = '{ methods = { "m.sas.v1", "m.qr_code.show.v1", "m.qr_code.scan.v1" } }'
HEX = """{ ok = true, code = (matrix.check(client:show_qr(%s)).data:gsub(".", function(c)
  return string.format("%%02x", c:byte()) end)) }""".replace("\n", " ")


class Host:
    """A libmatrix client in a Lua program."""

    def __init__(self, program: Driver, account: Account) -> None:
        self.program = program
        self.account = account
        program.hear("verification")
        program.sync()

    def get(self, line: str, *values: Any) -> dict[str, Any]:
        return self.program.get(line, *values)

    def wait(self, state: str, verification_id: str = "") -> dict[str, Any]:
        """Syncs until a verification is in a state; forgets what was heard before."""
        for _ in range(60):
            while self.program.heard("verification"):
                first = self.program.take("verification")
                for index, event in enumerate(first):
                    if event["state"] == state and verification_id in event["verification_id"]:
                        rest = [("verification", each) for each in first[index + 1 :]]
                        self.program.events = rest + self.program.events
                        return event
                    assert event["state"] != "cancelled", event
            self.program.sync("{ timeout_ms = 1000 }")
        raise AssertionError(f"never {state}")

    def user_trust(self, user_id: str) -> str:
        return str(self.get("client:user_trust(%s)", user_id)["trust"])

    def device_trust(self, user_id: str, device_id: str) -> str:
        return str(self.get("client:device_trust(%s, %s)", user_id, device_id)["trust"])


@pytest.fixture
def ours(stage: Path, homeserver: Homeserver) -> Iterator[Host]:
    """A libmatrix client of a new user."""
    account = homeserver.account()
    with driver(stage, homeserver, account) as program:
        yield Host(program, account)


def in_a_room(ours: Host, theirs: ForeignClient, *, encrypted: bool) -> str:
    """A room that both have joined, and both users with an identity."""
    room_id = str(theirs.create_room(invite=[ours.account.user_id], encrypted=encrypted))
    ours.get("client:join_room(%s)", room_id)
    theirs.wait_member(room_id=room_id, user_id=ours.account.user_id)
    theirs.bootstrap_cross_signing()
    ours.get("client:bootstrap_cross_signing { password = %s }", ours.account.password)
    ours.program.sync()
    return room_id


def be_known(ours: Host, theirs: ForeignClient) -> None:
    """Our device's keys are published, and they have them: they ignore what strangers ask."""
    who = {"user_id": ours.account.user_id, "device_id": ours.account.device_id}
    for _ in range(60):
        theirs.query_keys(user_id=ours.account.user_id)
        if theirs.device_status(**who) is not None:
            return
        ours.program.sync()
    raise AssertionError("they do not know our device")


def ask(ours: Host, theirs: ForeignClient, room_id: str | None, *, ours_asks: bool) -> str:
    """Request and ready; the id."""
    if ours_asks:
        options = f'{{ room_id = "{room_id}" }}' if room_id else "{}"
        line = f"client:request_verification(%s, {options})"
        be_known(ours, theirs)
        asked = ours.get(line, theirs.user_id)["verification"]
        name = str(asked["verification_id"])
        theirs.wait_verification(verification_id=name, phases=["Requested"])
        theirs.accept_verification(verification_id=name)
        assert ours.wait("ready", name)["device_id"] == theirs.device_id
        return name
    where = {"room_id": room_id} if room_id else {"device_id": ours.account.device_id}
    found = theirs.request_verification(user_id=ours.account.user_id, **where)
    name = str(found["verification_id"])
    request = ours.wait("requested", name)
    assert request["user_id"] == theirs.user_id and "m.sas.v1" in request["methods"]
    ours.get("client:accept_verification(%s)", name)
    theirs.wait_verification(verification_id=name, phases=["Ready"])
    return name


def compare(ours: Host, theirs: ForeignClient, name: str, *, ours_starts: bool) -> None:
    """SAS up to the same strings on both sides."""
    if ours_starts:
        ours.get("client:start_sas(%s)", name)
        theirs.wait_verification(verification_id=name, phases=["Started"])
        theirs.start_sas(verification_id=name)
    else:
        theirs.begin("start_sas", verification_id=name)
    here = ours.wait("comparing", name)
    there = theirs.wait_verification(verification_id=name, has="emoji")
    shown = [[each["emoji"], each["description"].lower()] for each in here["emoji"]]
    assert shown == [[symbol, text.lower()] for symbol, text in there["emoji"]]
    assert here["decimals"] == there["decimals"]


def finish(ours: Host, theirs: ForeignClient, name: str, *, ours_first: bool) -> None:
    """Both confirm."""
    if ours_first:
        ours.get("client:confirm_verification(%s)", name)
    theirs.begin("confirm_verification", verification_id=name)
    if not ours_first:
        ours.get("client:confirm_verification(%s)", name)
    ours.wait("done", name)
    theirs.wait_verification(verification_id=name, phases=["Done"])


@pytest.mark.parametrize(
    "ours_asks, ours_starts, encrypted",
    [(True, True, True), (True, False, False), (False, True, True), (False, False, True)],
)
def test_users_in_a_room(
    ours: Host,
    homeserver: Homeserver,
    foreign_client: Maker,
    ours_asks: bool,
    ours_starts: bool,
    encrypted: bool,
) -> None:
    theirs = foreign_client(homeserver.account())
    room_id = in_a_room(ours, theirs, encrypted=encrypted)
    assert ours.user_trust(theirs.user_id) == "unverified"
    name = ask(ours, theirs, room_id, ours_asks=ours_asks)
    compare(ours, theirs, name, ours_starts=ours_starts)
    finish(ours, theirs, name, ours_first=ours_asks)
    assert ours.user_trust(theirs.user_id) == "verified"
    assert ours.device_trust(theirs.user_id, theirs.device_id) == "verified"
    # Without a common encrypted room it does not follow our keys, nor its own signature of them.
    theirs.query_keys(user_id=ours.account.user_id)
    theirs.until(lambda found: found["verified"], "user_status", user_id=ours.account.user_id)


@pytest.mark.parametrize("ours_asks, ours_starts", [(True, False), (False, True)])
def test_new_device_of_theirs(
    ours: Host, homeserver: Homeserver, foreign_client: Maker, ours_asks: bool, ours_starts: bool
) -> None:
    """The identity is ours: the foreign device gets our signature, and trusts the identity."""
    account = ours.account
    ours.get("client:bootstrap_cross_signing { password = %s }", account.password)
    theirs = foreign_client(homeserver.login(account.user, account.password))
    name = ask(ours, theirs, None, ours_asks=ours_asks)
    compare(ours, theirs, name, ours_starts=ours_starts)
    finish(ours, theirs, name, ours_first=ours_starts)
    who = {"user_id": account.user_id, "device_id": theirs.device_id}
    theirs.until(lambda found: found["cross_signing_verified"], "device_status", **who)
    assert ours.device_trust(account.user_id, theirs.device_id) == "verified"


def test_new_device_of_ours(stage: Path, homeserver: Homeserver, foreign_client: Maker) -> None:
    """The identity is theirs: our device gets their signature, and their secrets."""
    account = homeserver.account()
    theirs = foreign_client(account)
    theirs.bootstrap_cross_signing()
    theirs.bootstrap_secret_storage(backup=True)
    second = homeserver.login(account.user, account.password)
    with driver(stage, homeserver, second) as program:
        ours = Host(program, second)
        name = ask(ours, theirs, None, ours_asks=True)
        compare(ours, theirs, name, ours_starts=True)
        finish(ours, theirs, name, ours_first=True)
        assert ours.user_trust(account.user_id) == "verified"
        assert ours.device_trust(account.user_id, theirs.device_id) == "verified"
        who = {"user_id": account.user_id, "device_id": second.device_id}
        theirs.until(lambda found: found["cross_signing_verified"], "device_status", **who)
        for _ in range(60):
            status = ours.get("client:cross_signing_status()")
            backup = ours.get("client:backup_state()")
            # Each secret comes in a message of its own.
            got = status["holds_self_signing_key"] and status["holds_user_signing_key"]
            if got and backup["is_enabled"]:
                break
            program.sync("{ timeout_ms = 1000 }")
        assert got and backup["has_key"] and backup["is_enabled"], (status, backup)


def test_codes(ours: Host, homeserver: Homeserver, foreign_client: Maker) -> None:
    """They scan ours, and we scan theirs."""
    methods = ["m.sas.v1", "m.qr_code.show.v1", "m.qr_code.scan.v1", "m.reciprocate.v1"]
    theirs = foreign_client(homeserver.account(), verification_methods=methods)
    room_id = in_a_room(ours, theirs, encrypted=True)
    for ours_shows in (True, False):
        found = theirs.request_verification(user_id=ours.account.user_id, room_id=room_id)
        name = str(found["verification_id"])
        ours.wait("requested", name)
        ours.get(f"client:accept_verification(%s, {ALL})", name)
        theirs.wait_verification(verification_id=name, phases=["Ready"])
        if ours_shows:
            data = base64.b64encode(bytes.fromhex(ours.get(HEX, name)["code"])).decode()
            theirs.scan_qr(verification_id=name, data=data)
            ours.wait("comparing", name)
            ours.get("client:confirm_verification(%s)", name)
        else:
            code = base64.b64decode(theirs.show_qr(verification_id=name))
            text = "".join(f"\\{byte:03d}" for byte in code)
            ours.get(f'client:scan_qr(%s, "{text}")', name)
            theirs.wait_verification(verification_id=name, has="scanned", phases=["Started"])
            theirs.confirm_verification(verification_id=name)
        ours.wait("done", name)
        theirs.wait_verification(verification_id=name, phases=["Done"])
    assert ours.user_trust(theirs.user_id) == "verified"
    theirs.until(lambda found: found["verified"], "user_status", user_id=ours.account.user_id)


def test_refusals(ours: Host, homeserver: Homeserver, foreign_client: Maker) -> None:
    """Mismatch and cancel, from either side, are heard on the other."""
    theirs = foreign_client(homeserver.account())
    room_id = in_a_room(ours, theirs, encrypted=True)

    name = ask(ours, theirs, room_id, ours_asks=True)
    compare(ours, theirs, name, ours_starts=True)
    ours.get("client:mismatch_verification(%s)", name)
    ended = theirs.wait_verification(verification_id=name, phases=["Cancelled"])
    assert ended["cancel_code"] == "m.mismatched_sas"
    assert ours.wait("cancelled", name)["is_cancelled_by_other"] is False

    name = ask(ours, theirs, room_id, ours_asks=False)
    compare(ours, theirs, name, ours_starts=False)
    theirs.mismatch(verification_id=name)
    told = ours.wait("cancelled", name)
    assert (told["cancel_code"], told["is_cancelled_by_other"]) == ("m.mismatched_sas", True)

    name = ask(ours, theirs, room_id, ours_asks=False)
    theirs.cancel_verification(verification_id=name)
    assert ours.wait("cancelled", name)["cancel_code"] == "m.user"
    assert ours.user_trust(theirs.user_id) == "unverified"
