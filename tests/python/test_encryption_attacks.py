"""What hostile homeservers, members and devices try; no network."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from vodozemac import GroupSession, InboundGroupSession

from libmatrix.crypto.sharing import Recipients
from libmatrix.crypto.signatures import SigningKey, encode_base64, sign
from libmatrix.crypto.trust_levels import Policy
from libmatrix.errors import IdentityExistsError, MissingSecretError
from tests.support.parties import ROOM, Party, acquaint, megolm_event
from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer
from tests.support.sync_script import SESSION, Homeserver, answer, joined, rooms, state

ALICE, BOB, MALLORY = "@alice:x", "@bob:x", "@mallory:x"


@pytest.fixture
def alice() -> Party:
    return Party(ALICE)


@pytest.fixture
def bob(alice: Party) -> Party:
    """Has met Alice."""
    bob = Party(BOB)
    acquaint(bob, alice)
    return bob


@pytest.fixture
def mallory(bob: Party) -> Party:
    """Is in the same room as both."""
    mallory = Party(MALLORY)
    acquaint(bob, mallory)
    return mallory


def encryption(bob: Party, event: dict[str, Any]) -> dict[str, Any]:
    found = bob.open(event)
    assert found is not None
    said: dict[str, Any] = json.loads(bytes(found.encryption))
    return said


def exported(session: Any, alice: Party) -> dict[str, Any]:
    """What a backup has of a session of Alice's."""
    key = InboundGroupSession(session.session_key).export_at(0)
    assert key is not None
    return {
        **alice.room_key(session),
        "session_key": key.to_base64(),
        "sender_key": alice.crypto.account.curve25519,
        "sender_claimed_keys": {"ed25519": alice.crypto.account.ed25519},
    }


# -- sessions -------------------------------------------------------------------------------------


def test_who_passes_a_session_on_first_does_not_own_it(
    alice: Party, bob: Party, mallory: Party
) -> None:
    """Mallory was given Alice's session a moment earlier, and gives it to Bob as her own."""
    session = GroupSession()
    content = alice.room_key(session)
    bob.take(mallory.seal(bob, "m.room_key", content))
    assert bob.code(megolm_event(ALICE, session)) == "wrong_sender"
    bob.take(alice.seal(bob, "m.room_key", content))
    assert encryption(bob, megolm_event(ALICE, session, number=2))["sender"] == ALICE
    # Also after a restart.
    bob.crypto.store.flush()
    again = Party(BOB, state=bob.state)
    again.knows(alice)
    assert encryption(again, megolm_event(ALICE, session, number=3))["sender"] == ALICE


@pytest.mark.parametrize("source", ["backup", "import", "forwarded"])
def test_nobody_takes_a_session_over_that_is_not_proven(
    alice: Party, bob: Party, mallory: Party, source: Any
) -> None:
    session = GroupSession()
    content = mallory.room_key(session)
    assert bob.crypto.room_keys.take_exported(exported(session, alice), source)
    bob.take(mallory.seal(bob, "m.room_key", content))
    said = encryption(bob, megolm_event(ALICE, session))
    assert said["is_decrypted"] and said["shield"] == "grey" and "sender" not in said
    bob.take(alice.seal(bob, "m.room_key", content))
    assert encryption(bob, megolm_event(ALICE, session, number=2))["sender"] == ALICE


def test_an_index_is_not_used_up_by_an_event_of_another_room(
    alice: Party, bob: Party, mallory: Party
) -> None:
    """Mallory repeats Alice's ciphertext in another room before Bob has seen Alice's event."""
    session = GroupSession()
    content = alice.room_key(session)
    trap = {**content, "room_id": "!trap:x"}
    bob.take(mallory.seal(bob, "m.room_key", trap))
    event = megolm_event(ALICE, session)
    copy = {**event, "sender": MALLORY, "event_id": "$copy"}
    assert bob.code(copy, "!trap:x") == "wrong_room"
    bob.take(alice.seal(bob, "m.room_key", content))
    assert bob.code(event) is None


def test_an_index_is_not_used_up_by_somebody_elses_copy(alice: Party, bob: Party) -> None:
    """Of a session that nobody proves, out of a backup: the copy may be seen before the event."""
    session = GroupSession()
    assert bob.crypto.room_keys.take_exported(exported(session, alice), "backup")
    event = megolm_event(ALICE, session)
    copy = {**event, "sender": MALLORY, "event_id": "$copy"}
    said = encryption(bob, copy)
    assert said["shield"] == "grey" and "sender" not in said
    assert bob.code(event) is None
    assert bob.code({**event, "event_id": "$again"}) == "replayed"


@pytest.mark.parametrize("kind", ["m.room.redaction", "m.room.encrypted"])
def test_what_is_never_encrypted_counts_for_nothing_when_it_is(
    alice: Party, bob: Party, kind: str
) -> None:
    """The homeserver has not checked who may redact what an encrypted event says."""
    session = GroupSession()
    bob.take(alice.seal(bob, "m.room_key", alice.room_key(session)))
    inner = {"type": kind, "room_id": ROOM, "content": {"redacts": "$of_bob"}}
    event = megolm_event(ALICE, session)
    event["content"]["ciphertext"] = session.encrypt(json.dumps(inner).encode()).to_base64()
    found = bob.open(event)
    assert found is not None and found.type == "m.room.encrypted"
    assert json.loads(bytes(found.encryption))["code"] == "bad_message"


def test_events_wait_when_somebody_elses_copy_of_the_key_came_first(
    alice: Party, bob: Party, mallory: Party
) -> None:
    session = GroupSession()
    content = alice.room_key(session)
    bob.take(mallory.seal(bob, "m.room_key", content))
    assert bob.code(megolm_event(ALICE, session)) == "wrong_sender"
    waiting = bob.crypto.store.undecrypted.of(f"{ROOM}|{session.session_id}")
    assert waiting.keys() == {"$e1"}


def test_a_key_of_another_length_harms_nobody(
    monkeypatch: pytest.MonkeyPatch, alice: Party, bob: Party
) -> None:
    """vodozemac panics at one of 33 bytes, which is no Exception and would end the sync."""
    stranger = Party(MALLORY)
    stranger.meet(bob)
    for size in (0, 31, 33, 64):
        key = encode_base64(bytes(size))
        keys = stranger.crypto.account.device_keys()
        spoilt = {**keys, "keys": {**keys["keys"], "ed25519:D": key}}
        monkeypatch.setattr(stranger.crypto, "own_device_keys", lambda kept=spoilt: kept)
        bad = stranger.seal(bob, "x.note", {})
        shown = bob.take(bad, alice.seal(bob, "x.note", {"size": size}))
        assert [event["content"] for event in shown if event["sender"] == ALICE] == [{"size": size}]
        refresh(bob, {"device_keys": {MALLORY: {"D": spoilt}}})
        assert not bob.crypto.devices.of(MALLORY)
        master = {"user_id": MALLORY, "usage": ["master"], "keys": {f"ed25519:{key}": key}}
        signed = {**master, "signatures": {MALLORY: {f"ed25519:{key}": encode_base64(bytes(64))}}}
        answer = {
            "device_keys": {MALLORY: {}},
            "master_keys": {MALLORY: master},
            "self_signing_keys": {MALLORY: {**signed, "usage": ["self_signing"]}},
        }
        refresh(bob, answer)


def test_a_key_that_is_discarded_while_it_is_shared_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch, alice: Party
) -> None:
    outbound = alice.crypto.outbound
    nobody = Recipients((0,), {}, [])

    async def settings(_: str) -> tuple[int, int]:
        return 3_600_000, 100

    async def recipients(_: str) -> Recipients:
        return nobody

    async def share(*_: Any) -> None:
        outbound.discard(ROOM)

    monkeypatch.setattr(outbound, "settings", settings)
    monkeypatch.setattr(outbound.sharing, "recipients", recipients)
    monkeypatch.setattr(outbound.sharing, "share", share)
    _, first = alice.run(outbound.encrypt(ROOM, "m.room.message", {"body": "1"}))
    _, second = alice.run(outbound.encrypt(ROOM, "m.room.message", {"body": "2"}))
    assert first["session_id"] != second["session_id"]


# -- floods ---------------------------------------------------------------------------------------


def test_events_that_nobody_can_decrypt_keep_no_others_from_waiting(
    monkeypatch: pytest.MonkeyPatch, alice: Party, bob: Party
) -> None:
    monkeypatch.setattr("libmatrix.crypto.decrypt._MOST_WAITING", 40)
    monkeypatch.setattr("libmatrix.crypto.decrypt._MOST_OF_A_ROOM", 10)
    for number in range(100):
        bob.code(megolm_event(MALLORY, GroupSession(), number=number), "!flooded:x")
    table = bob.crypto.store.undecrypted
    assert len(table.places()) == 10
    session = GroupSession()
    for _ in range(50):
        # The same again, as by paging through history, takes no more room.
        event = megolm_event(ALICE, session, number=1000)
        assert bob.code(event) == "missing_key"
    assert list(table.of(f"{ROOM}|{session.session_id}")) == ["$e1000"]
    # What was decrypted makes room; a session's id cannot be made to count for another room.
    for number in range(60):
        room_id = f"!busy{number}:x"
        bob.code(megolm_event(ALICE, GroupSession(), number=number), room_id)
        for first, second in table.places():
            if first.startswith(room_id):
                bob.crypto.decryptor.waits_no_more(first, second)
                bob.crypto.decryptor.waits_no_more(first, second)
    event = megolm_event(ALICE, GroupSession(), number=2000)
    bob.code(event)
    assert "$e2000" in {event_id for _, event_id in table.places()}
    event = megolm_event(ALICE, GroupSession(), number=3000)
    event["content"]["session_id"] = "a|b"
    assert bob.code(event) == "missing_key"
    assert "$e3000" not in {event_id for _, event_id in table.places()}


def test_a_homeserver_that_answers_slowly_holds_up_one_sync_only(
    monkeypatch: pytest.MonkeyPatch, bob: Party, mallory: Party
) -> None:
    monkeypatch.setattr("libmatrix.crypto.machine._DEVICES_SECONDS", 0.01)
    asked = 0

    async def never(*_: Any, **__: Any) -> bytes:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr(bob.api, "call", never)
    for _ in range(3):
        bob.crypto.devices.invalidate(MALLORY)
        bob.take(mallory.seal(bob, "m.room_key", mallory.room_key(GroupSession())))
    assert asked == 1
    assert not bob.crypto.devices.is_current(MALLORY), "they are asked for beside the syncs"


# -- devices and identities -----------------------------------------------------------------------


def test_a_blocked_device_stays_so_when_the_homeserver_hides_it_for_a_while(
    alice: Party, bob: Party
) -> None:
    devices = bob.crypto.devices
    device = alice.device()
    device.is_blocked = True
    devices.put(device)
    for keys in ({}, {"D": alice.crypto.account.device_keys()}):
        bob.api.answers["keys/query"] = {"device_keys": {ALICE: keys}}
        bob.run(devices.refresh([ALICE], force=True))
    assert devices.of(ALICE)["D"].is_blocked
    bob.crypto.store.flush()
    assert Party(BOB, state=bob.state).crypto.devices.of(ALICE)["D"].is_blocked


def test_a_device_that_claims_anothers_key_silences_nobody(bob: Party) -> None:
    """Nobody has to hold the Curve25519 key that a device publishes."""
    alice = Party(ALICE, "Z")
    alice.knows(bob)
    alice.meet(bob)
    real = alice.crypto.account.device_keys()
    key = SigningKey.create()
    claimed = real["keys"]["curve25519:Z"]
    keys = {"ed25519:A": key.public_key, "curve25519:A": claimed}
    fake = {"user_id": ALICE, "device_id": "A", "algorithms": [], "keys": keys}
    fake = sign(key, fake, ALICE, "ed25519:A")
    refresh(bob, {"device_keys": {ALICE: {"A": fake, "Z": real}}})
    assert list(bob.crypto.devices.of(ALICE)) == ["A", "Z"]
    session = GroupSession()
    bob.take(alice.seal(bob, "m.room_key", alice.room_key(session)))
    assert encryption(bob, megolm_event(ALICE, session))["sender_device_id"] == "Z"


class Keys:
    """Cross-signing keys of one user."""

    def __init__(self, user_id: str, signer: SigningKey | None = None) -> None:
        self.user_id = user_id
        self.master, self.signer = SigningKey.create(), signer or SigningKey.create()

    def answer(self, *parties: Party) -> dict[str, Any]:
        """What /keys/query says; the devices are signed."""
        devices = {}
        for party in parties:
            keys = party.crypto.account.device_keys()
            name = f"ed25519:{self.signer.public_key}"
            devices[party.crypto.device_id] = sign(self.signer, keys, self.user_id, name)
        own = self._key("self_signing", self.signer)
        name = f"ed25519:{self.master.public_key}"
        return {
            "device_keys": {self.user_id: devices},
            "master_keys": {self.user_id: self._key("master", self.master)},
            "self_signing_keys": {self.user_id: sign(self.master, own, self.user_id, name)},
        }

    def _key(self, usage: str, key: SigningKey) -> dict[str, Any]:
        keys = {f"ed25519:{key.public_key}": key.public_key}
        return {"user_id": self.user_id, "usage": [usage], "keys": keys}


def refresh(party: Party, answer: dict[str, Any]) -> None:
    party.api.answers["keys/query"] = answer
    party.run(party.crypto.devices.refresh(answer["device_keys"], force=True))


def test_a_verified_user_with_another_identity_gets_no_keys(alice: Party, bob: Party) -> None:
    """The homeserver gives Alice another identity, which vouches for a device of its own."""
    refresh(bob, Keys(ALICE).answer(alice))
    identity = bob.crypto.devices.identity(ALICE)
    assert identity is not None
    bob.crypto.trust.believe(identity)
    policy = Policy(bob.crypto, "cross_signed", "cross_signed")
    evil = Party(ALICE, "EVIL")
    device = bob.crypto.devices.of(ALICE)["D"]
    assert policy.withholds(device) is None
    refresh(bob, Keys(ALICE).answer(alice, evil))
    found = bob.crypto.devices.of(ALICE)["EVIL"]
    assert found.is_cross_signed and policy.withholds(found) == "m.unverified"
    evil.meet(bob)
    session = GroupSession()
    bob.take(evil.seal(bob, "m.room_key", evil.room_key(session)))
    assert encryption(bob, megolm_event(ALICE, session))["shield_reason"] == "identity_changed"
    bob.crypto.policy = policy
    bob.crypto.trust_stamp += 1
    assert bob.code(megolm_event(ALICE, session, number=2)) == "untrusted_device"
    # It is for the user to accept it.
    identity = bob.crypto.devices.identity(ALICE)
    assert identity is not None
    bob.crypto.trust.accept(identity)
    assert policy.withholds(bob.crypto.devices.of(ALICE)["EVIL"]) is None


def test_a_master_key_is_not_trusted_for_what_it_has_signed(bob: Party) -> None:
    """The homeserver has its own master key vouch for the real self-signing key.

    And it hides the real master key that is in secret storage.
    """
    signer = SigningKey.create()
    evil = Keys(BOB, signer)
    bob.api.answers["keys/upload"] = {"one_time_key_counts": {"signed_curve25519": 50}}
    bob.api.answers["keys/query"] = evil.answer()
    secrets = {"m.cross_signing.self_signing": encode_base64(signer.seed)}
    with pytest.raises(MissingSecretError):
        bob.run(bob.crypto.cross_signing.adopt(secrets))
    assert not bob.crypto.trust.is_own_trusted


def test_nothing_is_signed_for_an_identity_that_was_exchanged(bob: Party) -> None:
    """The same with a client that has the key already and is asked to bootstrap again."""
    real = Keys(BOB)
    bob.api.answers["keys/upload"] = {"one_time_key_counts": {"signed_curve25519": 50}}
    bob.api.answers["keys/query"] = real.answer()
    seeds = {
        "m.cross_signing.master": encode_base64(real.master.seed),
        "m.cross_signing.self_signing": encode_base64(real.signer.seed),
    }
    bob.run(bob.crypto.cross_signing.adopt(seeds))
    assert bob.crypto.trust.is_own_trusted
    bob.api.asked.clear()
    bob.api.answers["keys/query"] = Keys(BOB, real.signer).answer()

    async def upload(_: Any) -> None:
        raise AssertionError

    with pytest.raises(IdentityExistsError):
        bob.run(bob.crypto.cross_signing.bootstrap(upload, reset=False))
    assert not [path for path, _ in bob.api.asked if "signatures" in path]
    assert not bob.crypto.trust.is_own_trusted


# -- in clear -------------------------------------------------------------------------------------

ENCRYPTED = state("m.room.encryption", algorithm="m.megolm.v1.aes-sha2")


def refuses(host: RuntimeHost, client: int, script: Homeserver) -> bool:
    """Whether a client without encryption sends nothing."""
    failure = host.refuse(client, "send_text", room_id="!r:x", body="secret")
    return failure["code"] == "E_ENCRYPTION_UNSUPPORTED" and not script.sent


@pytest.mark.parametrize("way", ["invite", "knock", "leave"])
def test_a_way_back_into_a_room_does_not_turn_encryption_off(host: RuntimeHost, way: str) -> None:
    between = {"leave": {"timeline": {"events": []}}, "invite": {}, "knock": {}}[way]
    script = Homeserver(
        answer("s1", join={"!r:x": joined(states=[ENCRYPTED])}),
        answer("s2", **{way: {"!r:x": between}}),
        answer("s3", join={"!r:x": joined(states=[state("m.room.create")])}),
    )
    with ScriptedServer(script) as server:
        client = host.client(server.url, encryption=False, **SESSION)
        for _ in range(3):
            host.call(client, "sync_once")
        assert rooms(host, client)["!r:x"]["is_encrypted"]
        assert refuses(host, client, script)


def test_a_forgotten_room_is_still_encrypted(tmp_path: Path) -> None:
    script = Homeserver(
        answer("s1", join={"!r:x": joined(states=[ENCRYPTED])}),
        answer("s2", leave={"!r:x": {}}),
        answer("s3", join={"!r:x": joined(states=[state("m.room.create")])}),
    )
    options = {"encryption": False, "store_path": str(tmp_path), **SESSION}
    with ScriptedServer(script) as server:
        with RuntimeHost() as host:
            client = host.client(server.url, **options)
            host.call(client, "sync_once")
            host.call(client, "sync_once")
            host.call(client, "forget_room", room_id="!r:x")
            assert "!r:x" not in rooms(host, client)
            assert refuses(host, client, script)
            host.call(client, "sync_once")
            assert refuses(host, client, script)
        with RuntimeHost() as host:
            assert refuses(host, host.client(server.url, **options), script)


def test_what_the_store_knows_from_before_is_asked_again(tmp_path: Path) -> None:
    """Somebody may have turned encryption on since the client ended."""
    script = Homeserver(answer("s1", join={"!r:x": joined(states=[state("m.room.create")])}))
    options = {"encryption": False, "store_path": str(tmp_path), **SESSION}
    with ScriptedServer(script) as server, RuntimeHost() as host:
        client = host.client(server.url, **options)
        host.call(client, "sync_once")
        host.call(client, "send_text", room_id="!r:x", body="all may read this")
        assert len(script.sent) == 1
    script.sent.clear()
    script.encryption = Answer(ENCRYPTED["content"])
    with ScriptedServer(script) as server, RuntimeHost() as later:
        assert refuses(later, later.client(server.url, **options), script)


def test_a_room_that_a_sync_saw_half_made_is_encrypted(host: RuntimeHost) -> None:
    """The sync is answered between the creator's join and m.room.encryption."""
    script = Homeserver(answer("s1", join={"!r:x": joined(states=[state("m.room.create")])}))

    def serve(request: Request) -> Answer:
        if request.path.endswith("/createRoom"):
            return Answer({"room_id": "!r:x"})
        return script(request)

    with ScriptedServer(serve) as server:
        client = host.client(server.url, encryption=False, **SESSION)
        host.call(client, "sync_once")
        host.call(client, "create_room", encrypted=True)
        assert refuses(host, client, script)
