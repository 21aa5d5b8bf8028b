"""Key backups and key files, with clients of this library that talk in an encrypted room."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from vodozemac import GroupSession, InboundGroupSession

from libmatrix.crypto.key_file import KeyFileWriter
from tests.support.encrypted import ENCRYPTION, Talker
from tests.support.homeserver import Homeserver
from tests.support.runtime_host import RuntimeHost

pytestmark = pytest.mark.homeserver


class Scene:
    """Alice with an identity, secret storage and a backup; Bob; an encrypted room of both."""

    def __init__(self, host: RuntimeHost, homeserver: Homeserver, folder: Path) -> None:
        self.host, self.homeserver = host, homeserver
        self.account, other = homeserver.account(), homeserver.account()
        content = {**ENCRYPTION, "rotation_period_msgs": 1}
        state = [{"type": "m.room.encryption", "state_key": "", "content": content}]
        self.room_id = homeserver.create_room(
            self.account, invite=[other.user_id], initial_state=state
        )
        homeserver.join(other, self.room_id)
        self.alice = Talker(host, homeserver, self.account, folder / "alice")
        self.bob = Talker(host, homeserver, other)
        for talker in (self.alice, self.bob):
            talker.call("bootstrap_cross_signing", password=talker.account.password)
            talker.sync()
        made = self.alice.call("create_secret_storage")
        self.recovery_key = made["recovery_key"]

    def talk(self, *bodies: str) -> None:
        """Bob says what Alice hears; each time with a room key of its own."""
        for body in bodies:
            self.bob.send(self.room_id, body)
            self.alice.wait_message(body)

    def fresh(self, **options: Any) -> Talker:
        """Another device of Alice, that knows nothing yet."""
        return Talker(self.host, self.homeserver, self.account, **options)

    def undecrypted(self, talker: Talker) -> list[dict[str, Any]]:
        """What a client was given that it cannot read."""
        talker.sync()
        events = [event for event in talker.events() if event["room_id"] == self.room_id]
        return [event for event in events if event["type"] == "m.room.encrypted"]


@pytest.fixture
def scene(host: RuntimeHost, homeserver: Homeserver, tmp_path: Path) -> Scene:
    return Scene(host, homeserver, tmp_path)


def _state(talker: Talker) -> dict[str, Any]:
    return dict(talker.call("backup_state"))


def test_a_backup_follows_what_is_said_and_a_new_device_reads_it_all(scene: Scene) -> None:
    alice = scene.alice
    assert _state(alice).get("version") is None
    assert scene.host.refuse(alice.client, "enable_backup")["code"] == "E_NO_BACKUP"
    scene.talk("before")
    heard = scene.host.subscribe(alice.client, "backup")
    made = alice.call("create_backup")
    assert made["is_key_stored"]
    assert alice.call("upload_backup")["version"] == made["version"]
    state = _state(alice)
    assert state["is_enabled"] and state["is_trusted"] and state["has_key"]
    assert state["count"] == 1 and state["waiting_count"] == 0
    scene.talk("after")
    scene.host.until(lambda: _state(alice)["count"] == 2)
    told = [frame.payload for frame in scene.host.events if frame.target == heard]
    assert told == [{"kind": "backup", "state": "enabled", "version": made["version"]}]

    fresh = scene.fresh()
    waiting = scene.undecrypted(fresh)
    assert {event["encryption"]["code"] for event in waiting} == {"missing_key"}
    done = fresh.call("verify_own_device", recovery_key=scene.recovery_key)
    assert done["backup_version"] == made["version"]
    before = len(scene.host.progress)
    restored = fresh.call("restore_backup")
    assert restored["total_count"] == restored["imported_count"] == 2
    assert restored["failed_count"] == 0
    assert scene.host.progress[before].payload["total_count"] == 2
    late = [fresh.wait_message(body) for body in ("before", "after")]
    assert all(event["encryption"]["is_late"] for event in late)
    assert _state(fresh)["waiting_count"] == 0
    again = fresh.call("restore_backup", room_id=scene.room_id)
    assert again["total_count"] == 2 and again["imported_count"] == 0


def test_a_key_that_is_missing_is_fetched_by_itself(scene: Scene) -> None:
    scene.alice.call("create_backup")
    scene.talk("said before")
    scene.alice.call("upload_backup")
    fresh = scene.fresh()
    fresh.call("verify_own_device", recovery_key=scene.recovery_key)
    event = fresh.wait_message("said before")
    assert event["encryption"]["is_decrypted"] and event["encryption"]["is_late"]
    session_id = event["encryption"]["session_id"]
    one = fresh.call("restore_room_key", room_id=scene.room_id, session_id=session_id)
    assert one == {"is_imported": False}
    error = scene.host.refuse(
        fresh.client, "restore_room_key", room_id=scene.room_id, session_id="none"
    )
    assert error["code"] == "M_NOT_FOUND"


def test_a_new_version_is_taken_up_and_a_strange_one_is_not(scene: Scene) -> None:
    alice = scene.alice
    first = alice.call("create_backup")["version"]
    scene.talk("one")
    alice.call("upload_backup")
    other = scene.fresh()
    other.call("verify_own_device", recovery_key=scene.recovery_key)
    other.call("open_secret_storage", recovery_key=scene.recovery_key)
    second = other.call("create_backup")["version"]
    assert second != first
    # Signed by the account: this client uses it although it lacks the key.
    heard = scene.host.subscribe(alice.client, "backup")
    scene.talk("two")
    scene.host.until(lambda: _state(alice)["is_enabled"] and not _state(alice)["waiting_count"])
    assert _state(alice)["version"] == second and not _state(alice)["has_key"]
    assert _state(alice)["count"] == 2
    # A version nobody has signed.
    strange = {
        "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2",
        "auth_data": {"public_key": "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo"},
    }
    path = "/_matrix/client/v3/room_keys/version"
    third = scene.homeserver.request("POST", path, scene.account.token, strange)["version"]
    scene.talk("three")
    scene.host.until(lambda: len(_told(scene, heard)) == 2)
    assert _told(scene, heard) == [("enabled", second), ("untrusted", second)]
    state = _state(alice)
    assert state["version"] == third and not state["is_enabled"] and not state["is_trusted"]
    assert state["count"] == 0 and state["waiting_count"] == 1
    error = scene.host.refuse(alice.client, "enable_backup")
    assert error["code"] == "E_BACKUP_UNTRUSTED"
    error = scene.host.refuse(alice.client, "enable_backup", recovery_key=scene.recovery_key)
    assert error["code"] == "E_RECOVERY_KEY"
    alice.call("delete_backup")
    assert _state(alice)["version"] == second
    assert alice.call("enable_backup")["version"] == second


def test_a_backup_that_was_deleted_is_not_used_any_more(scene: Scene) -> None:
    alice = scene.alice
    heard = scene.host.subscribe(alice.client, "backup")
    version = alice.call("create_backup")["version"]
    other = scene.fresh()
    other.call("verify_own_device", recovery_key=scene.recovery_key)
    other.call("delete_backup", version=version)
    scene.talk("nobody saves this")
    scene.host.until(lambda: ("deleted", version) in _told(scene, heard))
    assert scene.host.refuse(alice.client, "upload_backup")["code"] == "E_NO_BACKUP"
    assert scene.host.refuse(alice.client, "delete_backup")["code"] == "E_NO_BACKUP"
    assert scene.host.refuse(alice.client, "restore_backup")["code"] == "E_NO_BACKUP"
    alice.call("disable_backup")


def test_a_backup_goes_on_after_a_restart(scene: Scene, tmp_path: Path) -> None:
    alice = scene.alice
    alice.call("create_backup")
    scene.host.send("close_client", alice.client)
    scene.host.settle()
    scene.bob.send(scene.room_id, "while away")
    again = scene.fresh(store=tmp_path / "alice")
    again.wait_message("while away")
    scene.host.until(lambda: _state(again)["count"] == 1)


def test_key_files_go_by_path_and_by_memory(scene: Scene, tmp_path: Path) -> None:
    scene.talk("exported")
    path = tmp_path / "keys.txt"
    path.write_text("old")
    done = scene.alice.call("export_room_keys", passphrase="sesame", path=str(path), rounds=1000)
    assert done["count"] == 1 and done.get("text") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["alice", "keys.txt"]
    text = scene.alice.call("export_room_keys", passphrase="p", rounds=1000)["text"]
    assert text.startswith("-----BEGIN MEGOLM SESSION DATA-----\n")
    none = scene.alice.call("export_room_keys", passphrase="p", rounds=1, room_id="!none:x")
    assert none["count"] == 0
    fresh = scene.fresh()
    assert len(scene.undecrypted(fresh)) == 1
    error = scene.host.refuse(fresh.client, "import_room_keys", passphrase="wrong", path=str(path))
    assert error["code"] == "E_KEY_FILE"
    done = fresh.call("import_room_keys", passphrase="sesame", path=str(path))
    assert done == {"total_count": 1, "imported_count": 1, "failed_count": 0}
    event = fresh.wait_message("exported")
    assert event["encryption"]["shield_reason"] == "authenticity_not_guaranteed"
    done = fresh.call("import_room_keys", passphrase="p", text=text)
    assert done == {"total_count": 1, "imported_count": 0, "failed_count": 0}


def test_moving_many_keys_reports_and_can_be_cancelled(
    host: RuntimeHost, homeserver: Homeserver, tmp_path: Path
) -> None:
    text = _key_file(1_000)
    talker = Talker(host, homeserver, homeserver.account())
    request = host.submit(talker.client, "import_room_keys", passphrase="p", text=text)
    _cancel_halfway(host, talker, request)
    done = talker.call("import_room_keys", passphrase="p", text=text)
    assert done["total_count"] == 1_000 and not done["failed_count"]
    # What had been taken before stays.
    assert 0 < done["imported_count"] < 1_000
    path = tmp_path / "keys.txt"
    host.progress.clear()
    request = host.submit(talker.client, "export_room_keys", passphrase="p", path=str(path))
    _cancel_halfway(host, talker, request)
    assert list(tmp_path.iterdir()) == []
    done = talker.call("export_room_keys", passphrase="p", path=str(path), rounds=10)
    assert done["count"] == 1_000
    counts = [frame.payload["done_count"] for frame in host.progress]
    assert counts[-1] == 1_000 and len({c for c in counts if 0 < c < 1_000}) > 0


def _cancel_halfway(host: RuntimeHost, talker: Talker, request: int) -> None:
    host.until(lambda: any(0 < each.payload["done_count"] < 1_000 for each in host.progress))
    host.send("cancel", talker.client, request)
    frame = host.wait(request)
    assert not frame.is_ok and frame.payload["code"] == "E_CANCELLED"


def _key_file(count: int) -> str:
    """Keys that nobody has used, as another client would export them."""
    sessions = []
    for _ in range(count):
        session = InboundGroupSession(GroupSession().session_key)
        key = session.export_at(0)
        assert key is not None
        sessions.append(
            {
                "algorithm": "m.megolm.v1.aes-sha2",
                "room_id": "!somewhere:localhost",
                "session_id": session.session_id,
                "session_key": key.to_base64(),
                "sender_key": "A" * 43,
                "sender_claimed_keys": {"ed25519": "A" * 43},
                "forwarding_curve25519_key_chain": [],
            }
        )
    writer = KeyFileWriter("p", 10)
    return (writer.write(json.dumps(sessions).encode()) + writer.finish()).decode()


@pytest.mark.parametrize(
    ("operation", "arguments", "code"),
    [
        ("export_room_keys", {"passphrase": ""}, "E_INVALID_ARGUMENT"),
        ("export_room_keys", {"passphrase": "p", "rounds": 0}, "E_INVALID_ARGUMENT"),
        ("export_room_keys", {"passphrase": "p", "path": "/none/there"}, "E_KEY_FILE"),
        ("import_room_keys", {"passphrase": "p"}, "E_INVALID_ARGUMENT"),
        ("import_room_keys", {"passphrase": "p", "path": "a", "text": "b"}, "E_INVALID_ARGUMENT"),
        ("import_room_keys", {"passphrase": "p", "path": "/none/there"}, "E_KEY_FILE"),
        ("import_room_keys", {"passphrase": "p", "text": "no file"}, "E_KEY_FILE"),
    ],
)
def test_key_files_that_cannot_be(
    host: RuntimeHost, homeserver: Homeserver, operation: str, arguments: Any, code: str
) -> None:
    talker = Talker(host, homeserver, homeserver.account())
    assert host.refuse(talker.client, operation, **arguments)["code"] == code
    assert "sesame" not in json.dumps(host.logs)


def _told(scene: Scene, subscription: int) -> list[tuple[str, str]]:
    scene.host.settle(0.0)
    found = [frame.payload for frame in scene.host.events if frame.target == subscription]
    return [(change["state"], change["version"]) for change in found]
