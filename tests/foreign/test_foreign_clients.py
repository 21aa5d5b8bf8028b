"""The foreign clients among themselves: a failure elsewhere is then not theirs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.foreign import ForeignClient, ForeignError
from tests.support.homeserver import Homeserver

pytestmark = pytest.mark.homeserver
Maker = Callable[..., ForeignClient]


def encrypted_room(first: ForeignClient, *others: ForeignClient) -> str:
    """An encrypted room in which all see each other."""
    room_id = str(first.create_room(invite=[other.user_id for other in others]))
    for other in others:
        other.join(room_id=room_id)
        first.wait_member(room_id=room_id, user_id=other.user_id)
    return room_id


def compare_emoji(one: ForeignClient, two: ForeignClient, verification_id: str) -> None:
    """The rest of a SAS verification that both have agreed to, started by the first."""
    one.start_sas(verification_id=verification_id)
    two.wait_verification(verification_id=verification_id, phases=["Started"])
    two.start_sas(verification_id=verification_id)
    shown = [
        client.wait_verification(verification_id=verification_id, has="emoji")
        for client in (one, two)
    ]
    assert shown[0]["emoji"] == shown[1]["emoji"]
    assert len(shown[0]["emoji"]) == 7
    assert shown[0]["decimals"] == shown[1]["decimals"]
    for client in (one, two):
        client.begin("confirm_verification", verification_id=verification_id)
    for client in (one, two):
        client.wait_verification(verification_id=verification_id, phases=["Done"])


def test_two_clients_talk_encrypted(homeserver: Homeserver, foreign_client: Maker) -> None:
    alice, bob = (foreign_client(homeserver.account()) for _ in range(2))
    room_id = encrypted_room(alice, bob)
    assert bob.is_encrypted(room_id=room_id)

    event_id = alice.send(room_id=room_id, body="tea?")
    got = bob.wait_message(room_id=room_id, event_id=event_id)
    assert got["content"]["body"] == "tea?"
    assert got["wire_type"] == "m.room.encrypted"
    assert (got["sender"], got["encrypted"], got["failed"]) == (alice.user_id, True, False)
    # Nobody has cross-signing keys yet.
    assert (got["shield"], got["shield_reason"]) == ("RED", "UNSIGNED_DEVICE")

    bob.send(room_id=room_id, body="yes")
    assert alice.wait_message(room_id=room_id, body="yes")["sender"] == bob.user_id


def test_key_reaches_a_late_device_by_backup_and_by_file(
    homeserver: Homeserver, foreign_client: Maker
) -> None:
    account = homeserver.account()
    first = foreign_client(account)
    first.bootstrap_cross_signing()
    recovery_key = first.bootstrap_secret_storage(backup=True)
    room_id = encrypted_room(first)
    event_id = first.send(room_id=room_id, body="before")
    first.upload_backup()
    assert first.backup_status()["info"]["count"] == 1

    second = foreign_client(homeserver.login(account.user, account.password))
    second.wait_message(room_id=room_id, event_id=event_id, failed=True)
    second.open_secret_storage(recovery_key=recovery_key)
    second.bootstrap_cross_signing()
    second.load_backup_key()
    assert second.restore_backup()["imported"] == 1
    assert second.wait_message(room_id=room_id, event_id=event_id)["content"]["body"] == "before"
    status = {"user_id": account.user_id, "device_id": second.device_id}
    first.until(lambda found: found["cross_signing_verified"], "device_status", **status)

    third = foreign_client(homeserver.login(account.user, account.password))
    third.wait_message(room_id=room_id, event_id=event_id, failed=True)
    file = first.export_keys(passphrase="secret")
    assert third.import_keys(keys=file, passphrase="secret") == 1
    third.wait_message(room_id=room_id, event_id=event_id)


def test_users_verify_each_other_in_a_room(homeserver: Homeserver, foreign_client: Maker) -> None:
    alice, bob = (foreign_client(homeserver.account()) for _ in range(2))
    for client in (alice, bob):
        client.bootstrap_cross_signing()
    room_id = encrypted_room(alice, bob)
    asked = alice.request_verification(user_id=bob.user_id, room_id=room_id)
    verification_id = asked["verification_id"]
    bob.wait_verification(verification_id=verification_id, phases=["Requested"])
    bob.accept_verification(verification_id=verification_id)
    alice.wait_verification(verification_id=verification_id, phases=["Ready"])
    compare_emoji(alice, bob, verification_id)
    alice.until(lambda found: found["verified"], "user_status", user_id=bob.user_id)
    bob.until(lambda found: found["verified"], "user_status", user_id=alice.user_id)


def test_own_devices_verify_each_other(homeserver: Homeserver, foreign_client: Maker) -> None:
    account = homeserver.account()
    first = foreign_client(account)
    first.bootstrap_cross_signing()
    second = foreign_client(homeserver.login(account.user, account.password))
    asked = second.request_verification(user_id=account.user_id, device_id=first.device_id)
    verification_id = asked["verification_id"]
    first.wait_verification(verification_id=verification_id, phases=["Requested"])
    first.accept_verification(verification_id=verification_id)
    second.wait_verification(verification_id=verification_id, phases=["Ready"])
    compare_emoji(first, second, verification_id)
    status = {"user_id": account.user_id, "device_id": second.device_id}
    first.until(lambda found: found["cross_signing_verified"], "device_status", **status)


def test_what_fails_is_an_error(homeserver: Homeserver, foreign_client: Maker) -> None:
    alice = foreign_client(homeserver.account())
    with pytest.raises(ForeignError) as caught:
        alice.join(room_id="!nowhere:localhost")
    assert caught.value.code.startswith("M_")
    alice.logout()
    with pytest.raises(ForeignError) as caught:
        alice.create_room()
    assert caught.value.code == "M_UNKNOWN_TOKEN"
