"""Encrypted rooms between libmatrix and itself, on a real homeserver."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.encrypted import Talker, encrypted_room
from tests.support.homeserver import Homeserver
from tests.support.runtime_host import RuntimeHost

pytestmark = pytest.mark.homeserver


@pytest.fixture
def host() -> Iterator[RuntimeHost]:
    with RuntimeHost() as made:
        yield made


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
