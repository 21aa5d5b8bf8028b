"""What homeservers and others may get wrong about secrets, identities and backups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.encrypted import Talker
from tests.support.homeserver import Account, Homeserver
from tests.support.runtime_host import RuntimeHost

pytestmark = pytest.mark.homeserver

_MASTER = "m.cross_signing.master"
_SELF = "m.cross_signing.self_signing"


class Scene:
    """A user with an identity and secret storage, and a device that has neither."""

    def __init__(self, host: RuntimeHost, server: Homeserver) -> None:
        self.host, self.server = host, server
        self.account: Account = server.account()
        self.first = Talker(host, server, self.account)
        self.first.call("bootstrap_cross_signing", password=self.account.password)
        self.first.call("create_backup")
        self.storage = self.first.call("create_secret_storage", passphrase="sesame")
        self.second = Talker(host, server, self.account)

    def put(self, kind: str, content: Any) -> None:
        """Sets account data behind the clients' backs."""
        path = f"/_matrix/client/v3/user/{quote(self.account.user_id)}/account_data/{kind}"
        self.server.request("PUT", path, self.account.token, content)

    def get(self, kind: str) -> Any:
        """Account data."""
        path = f"/_matrix/client/v3/user/{quote(self.account.user_id)}/account_data/{kind}"
        return self.server.request("GET", path, self.account.token)

    def verify(self) -> Any:
        """What the other device is told when it wants to be trusted."""
        key = self.storage["recovery_key"]
        return self.host.refuse(self.second.client, "verify_own_device", recovery_key=key)


@pytest.fixture
def scene(homeserver: Homeserver) -> Iterator[Scene]:
    with RuntimeHost() as host:
        yield Scene(host, homeserver)


def test_secret_storage_that_is_broken_is_refused(scene: Scene) -> None:
    kind = f"m.secret_storage.key.{scene.storage['key_id']}"
    sound = scene.get(kind)
    for change, code in (
        ({"algorithm": "m.secret_storage.v2"}, "E_RECOVERY_KEY"),
        ({"mac": "AAAA"}, "E_RECOVERY_KEY"),
        ({"iv": "?"}, "E_RECOVERY_KEY"),
        ({"algorithm": 5}, "E_INVALID_RESPONSE"),
        ({"passphrase": "x"}, "E_INVALID_RESPONSE"),
    ):
        scene.put(kind, {**sound, **change})
        assert scene.verify()["code"] == code, change
    scene.put(kind, {**sound, "passphrase": {**sound["passphrase"], "iterations": 2**53 - 1}})
    error = scene.host.refuse(scene.second.client, "open_secret_storage", passphrase="sesame")
    assert error["code"] == "E_RECOVERY_KEY" and "rounds" in error["message"]
    scene.put(kind, {name: value for name, value in sound.items() if name != "mac"})
    error = scene.host.refuse(scene.second.client, "open_secret_storage", passphrase="sesame")
    assert error["code"] == "E_RECOVERY_KEY" and "checked" in error["message"]
    scene.put(kind, sound)
    for content in ({}, {"key": 5}, {"key": "none"}):
        scene.put("m.secret_storage.default_key", content)
        assert scene.verify()["code"] == "E_NO_SECRET_STORAGE", content


def test_secrets_that_are_broken_or_of_another_identity_sign_nothing(scene: Scene) -> None:
    key_id = scene.storage["key_id"]
    sound = scene.get(_SELF)
    sealed = sound["encrypted"][key_id]
    for content, code in (
        ({}, "E_MISSING_SECRET"),
        ({"encrypted": {}}, "E_MISSING_SECRET"),
        ({"encrypted": "x"}, "E_MISSING_SECRET"),
        ({"encrypted": {key_id: {}}}, "E_RECOVERY_KEY"),
        ({"encrypted": {key_id: {**sealed, "mac": "AAAA"}}}, "E_RECOVERY_KEY"),
        ({"encrypted": {key_id: scene.get(_MASTER)["encrypted"][key_id]}}, "E_RECOVERY_KEY"),
    ):
        scene.put(_SELF, content)
        assert scene.verify()["code"] == code, content
    scene.first.call("put_secret", name=_SELF, secret="A" * 43)
    assert scene.verify()["code"] == "E_IDENTITY_MISMATCH"
    scene.first.call("put_secret", name=_SELF, secret="no key")
    assert scene.verify()["code"] == "E_IDENTITY_MISMATCH"
    seen = scene.second.call("cross_signing_status")
    assert not seen["is_trusted"] and not seen["is_device_signed"]
    scene.put(_SELF, sound)
    scene.second.call("verify_own_device", recovery_key=scene.storage["recovery_key"])


def test_a_backup_key_that_does_not_fit_is_left_alone(scene: Scene) -> None:
    scene.first.call("put_secret", name="m.megolm_backup.v1", secret="A" * 43)
    done = scene.second.call("verify_own_device", recovery_key=scene.storage["recovery_key"])
    assert done.get("backup_version") is None and len(done["secrets"]) == 3
    assert any("m.megolm_backup.v1" in str(record) for record in scene.host.logs)


def test_what_is_broken_in_a_backup_is_counted_and_the_rest_is_taken(scene: Scene) -> None:
    state = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    room_id = scene.server.create_room(scene.account, initial_state=[state])
    scene.first.sync()
    scene.first.send(room_id, "kept")
    version = scene.first.call("upload_backup")["version"]
    path = f"/_matrix/client/v3/room_keys/keys?version={version}"
    kept = scene.server.request("GET", path, scene.account.token)["rooms"][room_id]["sessions"]
    ((session_id, sound),) = kept.items()
    data = sound["session_data"]
    broken = [
        {},
        {**data, "ciphertext": "AAAA"},
        {**data, "ephemeral": "?"},
        {**data, "mac": 5},
        data,
    ]
    sessions = {f"broken{n}": {**sound, "session_data": each} for n, each in enumerate(broken)}
    body = {"rooms": {room_id: {"sessions": sessions}, "not a room": {"sessions": sessions}}}
    scene.server.request("PUT", path, scene.account.token, body)
    scene.second.call("verify_own_device", recovery_key=scene.storage["recovery_key"])
    restored = scene.second.call("restore_backup")
    assert restored["total_count"] == 11 and restored["imported_count"] == 1
    assert restored["failed_count"] >= 8
    error = scene.host.refuse(
        scene.second.client, "restore_room_key", room_id=room_id, session_id="broken0"
    )
    assert error["code"] == "M_NOT_FOUND"
    one = scene.second.call("restore_room_key", room_id=room_id, session_id=session_id)
    assert one == {"is_imported": False}
    scene.second.wait_message("kept")


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"action": "request"},
        {"action": "request", "name": 5, "request_id": "a", "requesting_device_id": "D"},
        {"action": "request", "name": _MASTER, "request_id": [], "requesting_device_id": "D"},
        {
            "action": "request",
            "name": _MASTER,
            "request_id": "a" * 300,
            "requesting_device_id": "D",
        },
        {"action": "request", "name": _MASTER, "request_id": "a", "requesting_device_id": "NONE"},
        {
            "action": "request",
            "name": "org.example",
            "request_id": "a",
            "requesting_device_id": "D",
        },
        {"action": "request_cancellation", "request_id": "a", "requesting_device_id": "D"},
        {"request_id": "a", "secret": "b"},
        {"request_id": {}, "secret": []},
    ],
)
def test_requests_for_secrets_and_secrets_of_any_shape_do_no_harm(
    homeserver: Homeserver, content: Any, tmp_path: Path
) -> None:
    with RuntimeHost() as host:
        victim = Talker(host, homeserver, homeserver.account(), tmp_path)
        victim.call("bootstrap_cross_signing", password=victim.account.password)
        for sender in (victim.account, homeserver.account()):
            for kind in ("m.secret.request", "m.secret.send"):
                path = f"/_matrix/client/v3/sendToDevice/{kind}/{sender.user}{kind}"
                messages = {victim.user_id: {victim.device_id: content}}
                homeserver.request("PUT", path, sender.token, {"messages": messages})
        victim.sync()
        victim.sync()
        assert victim.call("cross_signing_status")["is_device_signed"]
        assert not any(record["code"] == "E_INTERNAL" for record in host.logs if "code" in record)
