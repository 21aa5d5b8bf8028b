"""The account's identity, secret storage and trust, with two clients of this library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from libmatrix.table_gen import OPERATIONS
from tests.support.encrypted import ENCRYPTION, Talker
from tests.support.homeserver import Account, Homeserver
from tests.support.runtime_host import RuntimeHost

pytestmark = pytest.mark.homeserver


def _bootstrap(talker: Talker) -> str:
    done = talker.call("bootstrap_cross_signing", password=talker.account.password)
    return str(done["master_key"])


def _status(talker: Talker) -> dict[str, Any]:
    return dict(talker.call("cross_signing_status"))


def test_a_device_makes_its_users_identity(
    host: RuntimeHost, homeserver: Homeserver, account: Account
) -> None:
    first = Talker(host, homeserver, account)
    before = _status(first)
    assert before.get("master_key") is None
    assert not before["is_trusted"] and not before["is_device_signed"]
    made = first.call("bootstrap_cross_signing", password=account.password)
    assert made["is_new"]
    assert _status(first) == {
        "master_key": made["master_key"],
        "is_trusted": True,
        "is_device_signed": True,
        "holds_master_key": True,
        "holds_self_signing_key": True,
        "holds_user_signing_key": True,
        "has_secret_storage": False,
    }
    again = first.call("bootstrap_cross_signing")
    assert again == {"master_key": made["master_key"], "is_new": False}
    second = Talker(host, homeserver, account)
    error = host.refuse(second.client, "bootstrap_cross_signing", password=account.password)
    assert error["code"] == "E_IDENTITY_EXISTS"
    seen = _status(second)
    assert seen["master_key"] == made["master_key"] and not seen["is_trusted"]


def test_one_call_makes_another_device_trusted(
    host: RuntimeHost, homeserver: Homeserver, account: Account
) -> None:
    first, second = Talker(host, homeserver, account), Talker(host, homeserver, account)
    error = host.refuse(second.client, "verify_own_device", recovery_key="EsTc")
    assert error["code"] == "E_RECOVERY_KEY"
    master_key = _bootstrap(first)
    made = first.call("create_secret_storage", passphrase="open sesame", name="Bot")
    assert len(made["secrets"]) == 3
    error = host.refuse(second.client, "verify_own_device", passphrase="open says me")
    assert error["code"] == "E_RECOVERY_KEY"
    error = host.refuse(second.client, "verify_own_device")
    assert error["code"] == "E_INVALID_ARGUMENT"
    done = second.call("verify_own_device", recovery_key=made["recovery_key"])
    assert done["master_key"] == master_key
    assert done["secrets"] == made["secrets"]
    assert _status(second)["is_device_signed"] and _status(second)["is_trusted"]
    for one, other in ((first, second), (second, first)):
        trust = one.call(
            "device_trust", user_id=one.user_id, device_id=other.device_id, reload=True
        )
        assert trust["trust"] == "verified" and trust["is_cross_signed"]
    third = Talker(host, homeserver, account)
    assert third.call("verify_own_device", passphrase="open sesame")["master_key"] == master_key


def test_the_recovery_key_may_come_with_the_client_or_its_environment(
    host: RuntimeHost, homeserver: Homeserver, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Talker(host, homeserver, account)
    _bootstrap(first)
    key = first.call("create_secret_storage")["recovery_key"]
    with_option = Talker(host, homeserver, account, recovery_key=key)
    with_option.call("verify_own_device")
    monkeypatch.setenv("MATRIX_RECOVERY_KEY", key)
    without = Talker(host, homeserver, account)
    assert host.refuse(without.client, "verify_own_device")["code"] == "E_INVALID_ARGUMENT"
    allowed = Talker(host, homeserver, account, use_environment=True)
    allowed.call("verify_own_device")
    assert _status(allowed)["is_device_signed"]
    assert not any(key in str(record) or key.split()[3] in str(record) for record in host.logs)


def test_users_are_verified_and_their_change_is_told(
    host: RuntimeHost, homeserver: Homeserver, account: Account
) -> None:
    alice, bob = Talker(host, homeserver, account), Talker(host, homeserver, homeserver.account())
    assert alice.call("user_trust", user_id=bob.user_id)["trust"] == "no_identity"
    assert host.refuse(alice.client, "sign_user", user_id=bob.user_id)["code"] == "E_NO_IDENTITY"
    bobs_key = _bootstrap(bob)
    _bootstrap(alice)
    seen = alice.call("user_trust", user_id=bob.user_id, reload=True)
    assert seen["trust"] == "unverified" and seen["master_key"] == bobs_key
    trust = alice.call("device_trust", user_id=bob.user_id, device_id=bob.device_id)
    assert trust["trust"] == "cross_signed"
    error = host.refuse(alice.client, "sign_user", user_id=bob.user_id, master_key="A" * 43)
    assert error["code"] == "E_IDENTITY_MISMATCH"
    alice.call("sign_user", user_id=bob.user_id, master_key=bobs_key)
    assert alice.call("user_trust", user_id=bob.user_id, reload=True)["trust"] == "verified"
    trust = alice.call("device_trust", user_id=bob.user_id, device_id=bob.device_id)
    assert trust["trust"] == "verified"
    heard = host.subscribe(alice.client, "identity")
    new_key = bob.call("reset_cross_signing", password=bob.account.password)["master_key"]
    assert new_key != bobs_key
    changed = alice.call("user_trust", user_id=bob.user_id, reload=True)
    assert changed["trust"] == "violated" and changed["pinned_master_key"] == bobs_key
    told = [frame.payload for frame in host.events if frame.target == heard]
    assert told == [
        {
            "kind": "identity",
            "user_id": bob.user_id,
            "trust": "violated",
            "master_key": new_key,
            "old_master_key": bobs_key,
        }
    ]
    assert alice.call("accept_identity", user_id=bob.user_id)["trust"] == "unverified"
    alice.call("sign_user", user_id=bob.user_id)
    assert alice.call("user_trust", user_id=bob.user_id)["trust"] == "verified"
    # A new identity of one's own has verified nobody yet.
    alice.call("reset_cross_signing", password=account.password)
    seen = alice.call("user_trust", user_id=bob.user_id)
    assert seen["trust"] == "unverified" and seen["was_verified"]


def test_a_reset_by_another_device_is_told_and_can_be_followed(
    host: RuntimeHost, homeserver: Homeserver, account: Account
) -> None:
    first, second = Talker(host, homeserver, account), Talker(host, homeserver, account)
    old_key = _bootstrap(first)
    storage = first.call("create_secret_storage")
    second.call("open_secret_storage", recovery_key=storage["recovery_key"])
    heard = host.subscribe(first.client, "identity")
    first.sync()
    new_key = second.call("reset_cross_signing", password=account.password)["master_key"]
    first.sync_until(lambda: any(frame.target == heard for frame in host.events))
    (told,) = [frame.payload for frame in host.events if frame.target == heard]
    assert told["user_id"] == first.user_id
    assert (told["old_master_key"], told["master_key"]) == (old_key, new_key)
    status = _status(first)
    assert status["master_key"] == new_key
    assert not (status["is_trusted"] or status["is_device_signed"] or status["holds_master_key"])
    error = host.refuse(first.client, "sign_device", device_id=second.device_id)
    assert error["code"] == "E_MISSING_SECRET"
    # The storage was open where the new keys were made: they are in it.
    done = first.call("verify_own_device", recovery_key=storage["recovery_key"])
    assert done["master_key"] == new_key and _status(first)["is_device_signed"]


def test_a_sync_tells_of_another_identity(
    host: RuntimeHost, homeserver: Homeserver, account: Account
) -> None:
    alice, bob = Talker(host, homeserver, account), Talker(host, homeserver, homeserver.account())
    state = {"type": "m.room.encryption", "content": ENCRYPTION}
    room_id = homeserver.create_room(account, invite=[bob.user_id], initial_state=[state])
    homeserver.join(bob.account, room_id)
    bob.call("bootstrap_cross_signing", password=bob.account.password)
    for talker in (alice, bob):
        talker.sync()
    alice.send(room_id, "hello")
    assert alice.call("user_trust", user_id=bob.user_id)["trust"] == "unverified"
    heard = host.subscribe(alice.client, "identity")
    bob.call("reset_cross_signing", password=bob.account.password)
    alice.sync_until(lambda: any(frame.target == heard for frame in host.events))
    assert alice.call("user_trust", user_id=bob.user_id)["trust"] == "changed"


def test_trust_survives_a_restart_and_its_keys_are_not_readable_in_the_store(
    host: RuntimeHost, homeserver: Homeserver, account: Account, tmp_path: Path
) -> None:
    first = Talker(host, homeserver, account, tmp_path / "store")
    _bootstrap(first)
    first.call("create_secret_storage")
    secret = first.call("get_secret", name="m.cross_signing.master")["secret"]
    host.send("close_client", first.client)
    host.settle()
    for file in (tmp_path / "store").iterdir():
        assert file.stat().st_mode & 0o077 == 0
        assert secret.encode() not in file.read_bytes()
    again = Talker(host, homeserver, account, tmp_path / "store")
    status = _status(again)
    assert status["is_trusted"] and status["holds_master_key"]
    assert again.call("list_secrets")["is_open"] is False


def test_secrets_are_put_read_and_listed(
    host: RuntimeHost, homeserver: Homeserver, account: Account
) -> None:
    first = Talker(host, homeserver, account)
    assert first.call("list_secrets")["secrets"] == []
    error = host.refuse(first.client, "put_secret", name="org.example.token", secret="s")
    assert error["code"] == "E_MISSING_SECRET"
    error = host.refuse(first.client, "open_secret_storage", passphrase="x")
    assert error["code"] == "E_NO_SECRET_STORAGE"
    made = first.call("create_secret_storage")
    first.call("put_secret", name="org.example.token", secret="sécret")
    assert first.call("get_secret", name="org.example.token")["secret"] == "sécret"
    assert host.refuse(first.client, "get_secret", name="org.none")["code"] == "M_NOT_FOUND"
    first.sync()
    listed = first.call("list_secrets")
    assert listed["secrets"] == ["org.example.token"] and listed["is_open"]
    assert listed["key_id"] == made["key_id"] and not listed["has_passphrase"]
    # What the old storage held is in the new one, and the old key opens nothing any more.
    anew = first.call("create_secret_storage", passphrase="sesame")
    second = Talker(host, homeserver, account)
    error = host.refuse(second.client, "open_secret_storage", recovery_key=made["recovery_key"])
    assert error["code"] == "E_RECOVERY_KEY"
    second.call("open_secret_storage", recovery_key=anew["recovery_key"])
    assert second.call("get_secret", name="org.example.token")["secret"] == "sécret"
    second.call("open_secret_storage", passphrase="sesame")
    assert second.call("get_secret", name="org.example.token")["secret"] == "sécret"


def test_verified_devices_share_secrets_and_others_get_none(
    host: RuntimeHost, homeserver: Homeserver, account: Account
) -> None:
    first, second = Talker(host, homeserver, account), Talker(host, homeserver, account)
    master_key = _bootstrap(first)
    error = host.refuse(second.client, "request_secret", name="m.cross_signing.master")
    assert error["code"] == "E_MISSING_SECRET"
    second.call("cross_signing_status")
    device = first.call(
        "device_trust", user_id=first.user_id, device_id=second.device_id, reload=True
    )
    assert device["trust"] == "unverified"
    error = host.refuse(
        first.client, "sign_device", device_id=second.device_id, device_key="A" * 43
    )
    assert error["code"] == "E_IDENTITY_MISMATCH"
    first.call("sign_device", device_id=second.device_id, device_key=device["device_key"])
    trust = first.call("device_trust", user_id=first.user_id, device_id=second.device_id)
    assert trust["trust"] == "verified"
    error = host.refuse(second.client, "sign_user", user_id=second.user_id)
    assert error["code"] == "E_INVALID_ARGUMENT"
    second.call("sign_user", user_id=second.user_id, master_key=master_key)
    first.sync()
    error = host.refuse(
        second.client, "request_secret", name="m.cross_signing.master", timeout_ms=1
    )
    assert error["code"] == "E_TIMEOUT"
    for name in ("master", "self_signing", "user_signing"):
        request = host.submit(second.client, "request_secret", name=f"m.cross_signing.{name}")
        answer = _sync_both(host, first, second, request)
        assert answer["device_id"] == first.device_id and len(answer["secret"]) == 43
    assert _status(second)["holds_master_key"] and _status(second)["holds_user_signing_key"]
    # Who is not verified gets no answer, and is told of in the log.
    third = Talker(host, homeserver, account)
    third.call("sign_user", user_id=third.user_id, master_key=master_key)
    host.submit(third.client, "request_secret", name="m.cross_signing.master")
    first.sync_until(lambda: any("not verified" in str(log) for log in host.logs))


def _sync_both(host: RuntimeHost, one: Talker, other: Talker, request: int) -> dict[str, Any]:
    one.sync_until(lambda: _has_ended(host, other, request))
    frame = host.results.pop(request)
    assert frame.is_ok, frame.payload
    return dict(frame.payload)


def _has_ended(host: RuntimeHost, other: Talker, request: int) -> bool:
    other.sync()
    return request in host.results


_AREAS = ("trust", "secrets", "backup", "keys")
_MORE = {
    "verify_own_device": {"recovery_key": "x"},
    "open_secret_storage": {"recovery_key": "x"},
    "import_room_keys": {"text": "x"},
}


@pytest.mark.parametrize(
    ("is_logged_in", "code"), [(True, "E_ENCRYPTION_UNSUPPORTED"), (False, "E_NOT_LOGGED_IN")]
)
def test_nothing_of_this_works_without_encryption_or_a_session(
    host: RuntimeHost, homeserver: Homeserver, account: Account, is_logged_in: bool, code: str
) -> None:
    client = host.client(homeserver.url, encryption=not is_logged_in)
    if is_logged_in:
        host.call(client, "login_password", user=account.user, password=account.password)
    names = [name for name, spec in OPERATIONS.items() if spec.area in _AREAS]
    assert len(names) > 20
    for name in names:
        fields = msgspec.structs.fields(OPERATIONS[name].arguments)
        arguments = {field.name: "x" for field in fields if field.required}
        error = host.refuse(client, name, **arguments, **_MORE.get(name, {}))
        assert error["code"] == code, name
