"""Encrypted rooms between libmatrix and itself, on a real homeserver."""

from __future__ import annotations

import json
import os
import stat
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from libmatrix.crypto.signatures import encode_base64
from tests.support.encrypted import Talker, encrypted_room
from tests.support.homeserver import Homeserver
from tests.support.runtime_host import RuntimeHost

pytestmark = pytest.mark.homeserver


def test_two_clients_talk(host: RuntimeHost, homeserver: Homeserver) -> None:
    alice, bob = (Talker(host, homeserver, homeserver.account()) for _ in range(2))
    room_id = encrypted_room(homeserver, alice, bob)
    alice.send(room_id, "one lump or two?")
    heard = bob.wait_message("one lump or two?")
    assert heard["raw"]["type"] == "m.room.encrypted"
    assert "one lump" not in str(heard["raw"])
    said = heard["encryption"]
    assert said["is_decrypted"] and said["algorithm"] == "m.megolm.v1.aes-sha2"
    assert (said["sender"], said["sender_device_id"]) == (alice.user_id, alice.device_id)
    # Nobody has cross-signing keys.
    assert (said["shield"], said["shield_reason"]) == ("red", "unsigned_device")
    bob.send(room_id, "three")
    assert alice.wait_message("three")["encryption"]["sender"] == bob.user_id
    assert alice.wait_message("one lump or two?")["encryption"]["is_verified"]


def test_a_restart_goes_on(homeserver: Homeserver, tmp_path: Path) -> None:
    """Account, sessions and the outbound session are there again; nobody is sent a key twice."""
    people = [homeserver.account() for _ in range(2)]
    folders = [tmp_path / "alice", tmp_path / "bob"]
    session_ids = set()
    for round_number in range(3):
        with RuntimeHost() as host:
            alice, bob = (
                Talker(host, homeserver, person, folder)
                for person, folder in zip(people, folders, strict=True)
            )
            if round_number == 0:
                room_id = encrypted_room(homeserver, alice, bob)
            for talker, other in ((alice, bob), (bob, alice)):
                body = f"{talker.user_id} in round {round_number}"
                talker.send(room_id, body)
                session_ids.add(other.wait_message(body)["encryption"]["session_id"])
                # So that what it knows is what the homeserver forgets.
                other.sync()
    assert len(session_ids) == 2
    for folder in folders:
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert modes["libmatrix.key"] == 0o600 and set(modes.values()) == {0o600}


def test_a_device_that_came_while_encryption_was_off_is_known(
    host: RuntimeHost, homeserver: Homeserver, tmp_path: Path
) -> None:
    """The syncs of a client without encryption have told who has another device, and are over."""
    person = homeserver.account()
    bob = Talker(host, homeserver, homeserver.account())
    with RuntimeHost() as first:
        alice = Talker(first, homeserver, person, tmp_path)
        room_id = encrypted_room(homeserver, alice, bob)
        alice.send(room_id, "one")
        bob.wait_message("one")
        alice.sync()
    second = Talker(host, homeserver, bob.account)
    second.sync()
    sent_id = second.send(room_id, "a device that others can answer")
    with RuntimeHost() as without:
        blind = Talker(without, homeserver, person, tmp_path, encryption=False)
        blind.wait_event(lambda event: event["event_id"] == sent_id)
        # What a sync brought is kept before the next one is asked for.
        blind.sync()
    with RuntimeHost() as last:
        alice = Talker(last, homeserver, person, tmp_path)
        alice.sync()
        alice.send(room_id, "two")
        assert second.wait_message("two")["encryption"]["is_decrypted"]


def test_what_cannot_be_decrypted_says_why(host: RuntimeHost, homeserver: Homeserver) -> None:
    alice, bob = (Talker(host, homeserver, homeserver.account()) for _ in range(2))
    room_id = encrypted_room(homeserver, alice, bob)
    alice.send(room_id, "early")
    bob.wait_message("early")
    later = Talker(host, homeserver, homeserver.login(bob.account.user, bob.account.password))
    later.sync()
    lost = [event for event in later.events() if event["type"] == "m.room.encrypted"]
    assert [event["encryption"]["code"] for event in lost] == ["missing_key"]
    assert not lost[0]["encryption"]["is_decrypted"]


def secrets_of(crypto: Any) -> list[str]:
    """What nobody may see of a client's keys."""
    places = crypto.room_keys.places()
    return [
        *(crypto.room_keys.export(*place)["session_key"] for place in places),
        crypto.store.key.hex(),
        encode_base64(crypto.store.key),
        json.loads(crypto.store.values.get("account") or b"")["pickle"],
    ]


def test_no_secret_is_logged(homeserver: Homeserver, tmp_path: Path) -> None:
    """A whole conversation at level trace: restart and all."""
    people = [homeserver.account() for _ in range(2)]
    secrets: list[str] = []
    logs: list[object] = []
    for _ in range(2):
        with RuntimeHost() as host:
            alice, bob = (
                Talker(host, homeserver, person, tmp_path / person.user) for person in people
            )
            room_id = encrypted_room(homeserver, alice, bob)
            for talker, other in ((alice, bob), (bob, alice)):
                talker.send(room_id, "what-nobody-else-may-read")
                other.wait_message("what-nobody-else-may-read")
                secrets.append(json.loads(talker.call("export_session")["session"])["access_token"])
                crypto = host.runtime._clients[talker.client].crypto
                secrets += [talker.account.password, *host.inside(partial(secrets_of, crypto))]
            logs += host.logs
    text = json.dumps(logs)
    assert len(logs) > 10 and len(secrets) > 12
    for secret in ("what-nobody-else-may-read", *secrets):
        assert secret and secret not in text


def test_an_event_in_clear_in_an_encrypted_room_says_so(
    host: RuntimeHost, homeserver: Homeserver
) -> None:
    alice, bob = (Talker(host, homeserver, homeserver.account()) for _ in range(2))
    room_id = encrypted_room(homeserver, alice, bob)
    content = {"msgtype": "m.text", "body": "for all to see"}
    event_id = homeserver.send(bob.account, room_id, "m.room.message", content)
    alice.call("send_reaction", room_id=room_id, event_id=event_id, key="+")
    heard = alice.wait_message("for all to see")["encryption"]
    assert (heard["shield"], heard["shield_reason"]) == ("red", "sent_in_clear")
    assert not heard["is_decrypted"]
    # Also when it is asked for.
    fetched = alice.call("fetch_event", room_id=room_id, event_id=event_id)["event"]
    assert fetched["encryption"] == heard
    page = alice.call("history", room_id=room_id)["events"]
    marks = [event.get("encryption", {}).get("shield_reason") for event in page]
    assert [event["type"] for event in page[:2]] == ["m.reaction", "m.room.message"]
    assert marks == [None, "sent_in_clear", *[None] * (len(page) - 2)]


def test_a_key_that_comes_by_file_brings_the_event_again(
    host: RuntimeHost, homeserver: Homeserver
) -> None:
    """At once with a reason, and in clear when the key is there, without another sync."""
    alice, bob = (Talker(host, homeserver, homeserver.account()) for _ in range(2))
    room_id = encrypted_room(homeserver, alice, bob)
    alice.send(room_id, "early")
    bob.wait_message("early")
    text = bob.call("export_room_keys", passphrase="secret", rounds=1000)["text"]
    later = Talker(host, homeserver, homeserver.login(bob.account.user, bob.account.password))
    lost = later.wait_event(lambda event: event["type"] == "m.room.encrypted")
    assert lost["encryption"]["code"] == "missing_key"
    found = later.call("import_room_keys", passphrase="secret", text=text)
    assert found["imported_count"] == 1

    def early() -> list[dict[str, Any]]:
        return [event for event in later.events() if event.get("body") == "early"]

    [again] = host.until(early)
    assert again["event_id"] == lost["event_id"] and again["encryption"]["is_late"]
    assert again["encryption"]["shield_reason"] == "authenticity_not_guaranteed"
    later.sync()
    assert len(early()) == 1


def test_policies_of_both_sides(host: RuntimeHost, homeserver: Homeserver) -> None:
    alice = Talker(host, homeserver, homeserver.account())
    bob = Talker(host, homeserver, homeserver.account(), show_messages_from="verified")
    room_id = encrypted_room(homeserver, alice, bob)
    alice.send(room_id, "who am I?")
    lost = bob.wait_event(lambda event: "encryption" in event)
    assert lost["encryption"]["code"] == "untrusted_device"
    bob.call("set_device_trust", user_id=alice.user_id, device_id=alice.device_id, trust="verified")
    alice.send(room_id, "now you know")
    assert bob.wait_message("now you know")["encryption"]["is_verified"]
    # What was kept from him is there as well, once.
    said = bob.wait_message("who am I?")["encryption"]
    assert said["is_verified"] and said["is_late"]
    bob.sync()
    bob.sync()
    assert [event["body"] for event in bob.messages(room_id)].count("who am I?") == 1
    error = host.refuse(
        bob.client, "set_device_trust", user_id=alice.user_id, device_id="NO", trust="blocked"
    )
    assert error["code"] == "M_NOT_FOUND"


@pytest.mark.skipif("MATRIX_TEST_HOMESERVER" in os.environ, reason="registers users")
def test_what_was_hidden_comes_when_its_device_is_signed(
    host: RuntimeHost, homeserver: Homeserver, tmp_path: Path
) -> None:
    """Also after a restart, and only what that sender's other messages allow."""
    alice, carol = (Talker(host, homeserver, homeserver.register()) for _ in range(2))
    person = homeserver.account()
    options = {"show_messages_from": "cross_signed"}
    with RuntimeHost() as first:
        bob = Talker(first, homeserver, person, tmp_path, **options)
        room_id = encrypted_room(homeserver, alice, bob, carol)
        for sender in (alice, carol):
            sent_id = sender.send(room_id, f"from {sender.user_id}")
            hidden = bob.wait_event(lambda event, sent_id=sent_id: event["event_id"] == sent_id)
            assert hidden["encryption"]["code"] == "untrusted_device"
        bob.sync()
    with RuntimeHost() as second:
        bob = Talker(second, homeserver, person, tmp_path, **options)
        bob.sync()
        assert not bob.messages(room_id)
        alice.call("bootstrap_cross_signing", password=alice.account.password)
        said = bob.wait_message(f"from {alice.user_id}")["encryption"]
        assert said["is_late"] and said["shield_reason"] == "unverified_identity"
        bob.sync()
        assert [event["sender"] for event in bob.messages(room_id)] == [alice.user_id]
    with RuntimeHost() as third:
        # They are not given again, whatever the policy is now; hers are.
        bob = Talker(third, homeserver, person, tmp_path)
        assert bob.wait_message(f"from {carol.user_id}")["encryption"]["is_late"]
        bob.sync()
        assert [event["sender"] for event in bob.messages(room_id)] == [carol.user_id]


def test_a_deleted_device_and_a_member_who_left_end_a_session(
    host: RuntimeHost, homeserver: Homeserver
) -> None:
    alice, bob = (Talker(host, homeserver, homeserver.account()) for _ in range(2))
    second = Talker(host, homeserver, bob.account)
    room_id = encrypted_room(homeserver, alice, bob)
    second.sync()
    used = []
    for number in range(2):
        alice.send(room_id, f"first {number}")
        used.append(bob.wait_message(f"first {number}")["encryption"]["session_id"])
    second.call("logout")
    alice.sync()
    alice.send(room_id, "second")
    used.append(bob.wait_message("second")["encryption"]["session_id"])
    assert used[0] == used[1] != used[2]
    third = Talker(host, homeserver, homeserver.account())
    third.sync()
    alice.call("invite_user", room_id=room_id, user_id=third.user_id)
    homeserver.join(third.account, room_id)
    alice.sync()
    alice.send(room_id, "third")
    assert third.wait_message("third")["encryption"]["session_id"] == used[2]
    third.call("leave_room", room_id=room_id)
    alice.sync()
    alice.send(room_id, "fourth")
    assert bob.wait_message("fourth")["encryption"]["session_id"] != used[2]


def forget_sessions(crypto: Any) -> None:
    """All those with other devices."""
    for place in crypto.store.olm_sessions.places():
        crypto.store.olm_sessions.delete(*place)
    crypto.olm.forget_cached()
    crypto.store.flush()


def test_a_wedged_session_is_made_anew(homeserver: Homeserver, tmp_path: Path) -> None:
    """A store from before comes back: what is sent by the lost session cannot be read, once."""
    people = [homeserver.account() for _ in range(2)]
    with RuntimeHost() as host:
        alice, bob = (Talker(host, homeserver, person, tmp_path / person.user) for person in people)
        room_id = encrypted_room(homeserver, alice, bob)
        bob.send(room_id, "zero")
        alice.wait_message("zero")
    with RuntimeHost() as host:
        alice, bob = (Talker(host, homeserver, person, tmp_path / person.user) for person in people)
        crypto = host.runtime._clients[bob.client]
        alice.sync()
        bob.sync()
        # What Bob knew of sessions with devices is gone.
        host.inside(lambda: forget_sessions(crypto.crypto))
        alice.call("discard_room_key", room_id=room_id)
        alice.send(room_id, "lost")
        sessions = host.runtime._clients[alice.client].crypto.store.olm_sessions
        known = host.inside(sessions.count)
        bob.wait_event(lambda event: event.get("encryption", {}).get("code") == "missing_key")
        # Bob makes another session, and Alice uses it.
        alice.sync_until(lambda: host.inside(sessions.count) > known)
        alice.call("discard_room_key", room_id=room_id)
        alice.send(room_id, "found")
        bob.wait_message("found")


def test_encryption_sealed_with_a_passphrase(homeserver: Homeserver, tmp_path: Path) -> None:
    person = homeserver.account()
    fingerprints = set()
    for number in range(3):
        # At first without: the key moves from its file into the store.
        options = {"store_passphrase": "open sesame"} if number else {}
        with RuntimeHost() as host:
            alice = Talker(host, homeserver, person, tmp_path / "store", **options)
            fingerprints.add(alice.call("encryption_status")["ed25519"])
        assert (tmp_path / "store" / "libmatrix.key").exists() == (number == 0)
    assert len(fingerprints) == 1


def test_a_store_without_its_key_says_so(homeserver: Homeserver, tmp_path: Path) -> None:
    person = homeserver.account()
    with RuntimeHost() as host:
        Talker(host, homeserver, person, tmp_path / "store").call("encryption_status")
    (tmp_path / "store" / "libmatrix.key").unlink()
    with RuntimeHost() as host:
        client = host.client(homeserver.url, store_path=str(tmp_path / "store"), encryption=True)
        error = host.refuse(client, "encryption_status")
        assert error["code"] == "E_STORE" and "libmatrix.key" in error["message"]


def test_a_token_of_a_device_with_keys_elsewhere(host: RuntimeHost, homeserver: Homeserver) -> None:
    alice = Talker(host, homeserver, homeserver.account())
    alice.call("encryption_status")
    session = alice.call("export_session")["session"]
    other = host.client(homeserver.url, session=session, encryption=True)
    error = host.refuse(other, "encryption_status")
    assert error["code"] == "E_ENCRYPTION_UNSUPPORTED"
    host.call(other, "sync_once")


def test_own_devices_give_each_other_keys_once_verified(
    host: RuntimeHost, homeserver: Homeserver
) -> None:
    alice, bob = (Talker(host, homeserver, homeserver.account()) for _ in range(2))
    room_id = encrypted_room(homeserver, alice, bob)
    alice.send(room_id, "before the second device")
    bob.wait_message("before the second device")
    bob.call("bootstrap_cross_signing", password=bob.account.password)
    recovery_key = bob.call("create_secret_storage")["recovery_key"]
    second = Talker(host, homeserver, bob.account)
    lost = second.wait_event(lambda event: event["type"] == "m.room.encrypted")
    assert lost["encryption"]["code"] == "missing_key"
    # Not verified yet: it asks nobody, and nobody would answer.
    bob.sync()
    second.call("verify_own_device", recovery_key=recovery_key)

    def heard_it() -> bool:
        bob.sync()
        return any(event.get("body") == "before the second device" for event in second.events())

    second.sync_until(heard_it, timeout_ms=100)
    heard = second.wait_message("before the second device")["encryption"]
    assert heard["is_late"] and heard["shield_reason"] == "authenticity_not_guaranteed"
    # Whoever bob trusts sees that both of his devices are his.
    alice.sync()
    second.send(room_id, "from the second")
    assert alice.wait_message("from the second")["encryption"]["shield_reason"] == (
        "unverified_identity"
    )
