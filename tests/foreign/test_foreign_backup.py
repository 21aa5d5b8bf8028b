"""Key backups and key files that go between this library and a client of other people's make."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.encrypted import Talker
from tests.support.foreign import ForeignClient
from tests.support.homeserver import Homeserver
from tests.support.runtime_host import RuntimeHost

pytestmark = pytest.mark.homeserver

Foreign = Callable[..., ForeignClient]


def _send(theirs: ForeignClient, body: str) -> str:
    """Says something in a new room; whoever logs in later has no key for it."""
    room_id = str(theirs.create_room())
    theirs.send(room_id=room_id, body=body)
    return room_id


def test_we_read_a_foreign_backup(
    host: RuntimeHost, homeserver: Homeserver, foreign_client: Foreign
) -> None:
    account = homeserver.account()
    theirs = foreign_client(account)
    theirs.bootstrap_cross_signing()
    key = theirs.bootstrap_secret_storage(backup=True)
    rooms = {body: _send(theirs, body) for body in ("first", "second")}
    theirs.upload_backup()
    # What an event needs is fetched by itself.
    ours = Talker(host, homeserver, account)
    ours.call("verify_own_device", recovery_key=key)
    for body, room_id in rooms.items():
        event = ours.wait_message(body)
        assert event["room_id"] == room_id
        assert event["encryption"]["shield_reason"] == "authenticity_not_guaranteed"
    # And so is everything, when somebody asks for it.
    again = Talker(host, homeserver, account)
    again.call("open_secret_storage", recovery_key=key)
    restored = again.call("restore_backup")
    assert restored["imported_count"] == restored["total_count"] == 2
    assert not restored["failed_count"]
    again.wait_message("first")


def test_a_foreign_client_reads_our_backup(
    host: RuntimeHost, homeserver: Homeserver, foreign_client: Foreign
) -> None:
    account = homeserver.account()
    ours = Talker(host, homeserver, account)
    ours.call("bootstrap_cross_signing", password=account.password)
    ours.call("create_backup")
    recovery_key = ours.call("create_secret_storage")["recovery_key"]
    state = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    room_id = homeserver.create_room(account, initial_state=[state])
    ours.sync()
    event_id = ours.send(room_id, "kept")
    ours.call("upload_backup")
    theirs = foreign_client(homeserver.login(account.user, account.password))
    failed = theirs.wait_message(room_id=room_id, event_id=event_id, failed=True)
    assert failed["failed"]
    theirs.open_secret_storage(recovery_key=recovery_key)
    theirs.bootstrap_cross_signing()
    theirs.load_backup_key()
    theirs.enable_backup()
    theirs.restore_backup()
    read = theirs.wait_message(room_id=room_id, event_id=event_id)
    assert read["content"]["body"] == "kept"
    # It goes on with the same backup: what it saves we read.
    version = theirs.backup_status()["active_version"]
    assert version == ours.call("backup_state")["version"]
    _send(theirs, "theirs")
    theirs.upload_backup()
    assert ours.call("backup_state")["count"] == 2
    assert ours.call("restore_backup")["failed_count"] == 0


def test_key_files_are_read_by_both(
    host: RuntimeHost, homeserver: Homeserver, foreign_client: Foreign
) -> None:
    account = homeserver.account()
    theirs = foreign_client(account)
    _send(theirs, "exported")
    text = theirs.export_keys(passphrase="sesame")
    ours = Talker(host, homeserver, account)
    done = ours.call("import_room_keys", passphrase="sesame", text=text)
    assert done == {"total_count": 1, "imported_count": 1, "failed_count": 0}
    ours.wait_message("exported")
    back = ours.call("export_room_keys", passphrase="für Elise", rounds=1000)
    fresh = foreign_client(homeserver.login(account.user, account.password))
    assert fresh.import_keys(keys=back["text"], passphrase="für Elise") == 1
    assert len(back["text"].splitlines()) > 3 and back["count"] == 1
    room_id = ours.wait_message("exported")["room_id"]
    assert fresh.wait_message(room_id=room_id, body="exported")["content"]["body"] == "exported"
