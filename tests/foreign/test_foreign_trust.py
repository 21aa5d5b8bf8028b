"""Trust, secret storage and backups between this library and a client of other people's make."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.support.encrypted import Talker
from tests.support.foreign import ForeignClient
from tests.support.homeserver import Homeserver
from tests.support.runtime_host import RuntimeHost

pytestmark = pytest.mark.homeserver


def test_a_foreign_recovery_key_makes_our_device_trusted(
    host: RuntimeHost, homeserver: Homeserver, foreign_client: Callable[..., ForeignClient]
) -> None:
    account = homeserver.account()
    theirs = foreign_client(account)
    theirs.bootstrap_cross_signing()
    key = theirs.bootstrap_secret_storage(passphrase="open sesame", backup=True)
    version = theirs.backup_status()["info"]["version"]
    ours = Talker(host, homeserver, account)
    done = ours.call("verify_own_device", recovery_key=key)
    assert done["master_key"] == theirs.cross_signing_status()["keys"]["master"]
    assert done["backup_version"] == version
    assert "m.megolm_backup.v1" in done["secrets"] and len(done["secrets"]) == 4
    status = theirs.device_status(user_id=account.user_id, device_id=ours.device_id)
    assert status["cross_signing_verified"] and status["signed_by_owner"]
    by_passphrase = Talker(host, homeserver, account)
    by_passphrase.call("verify_own_device", passphrase="open sesame")
    status = theirs.device_status(user_id=account.user_id, device_id=by_passphrase.device_id)
    assert status["cross_signing_verified"]
    secret = theirs.get_secret(name="m.cross_signing.self_signing")
    ours_secret = ours.call("get_secret", name="m.cross_signing.self_signing")["secret"]
    assert ours_secret == secret
    ours.call("put_secret", name="org.example.token", secret="sécret")
    theirs.until(lambda found: found == "sécret", "get_secret", name="org.example.token")


def test_a_foreign_client_recovers_what_ours_has_made(
    host: RuntimeHost, homeserver: Homeserver, foreign_client: Callable[..., ForeignClient]
) -> None:
    account = homeserver.account()
    ours = Talker(host, homeserver, account)
    master = ours.call("bootstrap_cross_signing", password=account.password)["master_key"]
    version = ours.call("create_backup")["version"]
    made = ours.call("create_secret_storage", passphrase="open sesame")
    assert len(made["secrets"]) == 4
    theirs = foreign_client(homeserver.login(account.user, account.password))
    theirs.open_secret_storage(recovery_key=made["recovery_key"])
    theirs.bootstrap_cross_signing()
    status = theirs.cross_signing_status()
    assert status["keys"]["master"] == master and status["ready"]
    found = theirs.device_status(user_id=account.user_id, device_id=ours.device_id)
    assert found["cross_signing_verified"]
    theirs.load_backup_key()
    backup = theirs.backup_status()
    assert backup["info"]["version"] == version and backup["trust"]["trusted"]
    seen = ours.call(
        "device_trust", user_id=account.user_id, device_id=theirs.device_id, reload=True
    )
    assert seen["trust"] == "verified"


def test_users_verify_each_other_across(
    host: RuntimeHost, homeserver: Homeserver, foreign_client: Callable[..., ForeignClient]
) -> None:
    ours = Talker(host, homeserver, homeserver.account())
    ours.call("bootstrap_cross_signing", password=ours.account.password)
    theirs = foreign_client(homeserver.account())
    theirs.bootstrap_cross_signing()
    ours.call("cross_signing_status")
    ours.call("join_room", room_id_or_alias=theirs.create_room(invite=[ours.user_id]))
    key = theirs.cross_signing_status()["keys"]["master"]
    ours.call("sign_user", user_id=theirs.user_id, master_key=key)
    assert ours.call("user_trust", user_id=theirs.user_id)["trust"] == "verified"
    theirs.bootstrap_cross_signing(reset=True)
    changed = ours.call("user_trust", user_id=theirs.user_id, reload=True)
    assert changed["trust"] == "violated"
    theirs.until(lambda found: found["has_keys"], "user_status", user_id=ours.user_id)
    theirs.until(
        lambda found: found, "device_status", user_id=ours.user_id, device_id=ours.device_id
    )
    ours.call("reset_cross_signing", password=ours.account.password)
    theirs.until(lambda found: found["needs_approval"], "user_status", user_id=ours.user_id)


def test_we_are_sent_a_foreign_devices_secrets(
    host: RuntimeHost, homeserver: Homeserver, foreign_client: Callable[..., ForeignClient]
) -> None:
    account = homeserver.account()
    theirs = foreign_client(account)
    theirs.bootstrap_cross_signing()
    theirs.bootstrap_secret_storage(backup=True)
    ours = Talker(host, homeserver, account)
    master = ours.call("cross_signing_status")["master_key"]
    who = {"user_id": account.user_id, "device_id": ours.device_id}
    theirs.until(lambda found: found is not None, "device_status", **who)
    theirs.cross_sign_device(device_id=ours.device_id)
    theirs.until(lambda found: found["cross_signing_verified"], "device_status", **who)
    ours.call("sign_user", user_id=account.user_id, master_key=master)
    for name in ("m.cross_signing.self_signing", "m.megolm_backup.v1"):
        request = host.submit(ours.client, "request_secret", name=name)
        while request not in host.results:
            # Their client goes on after a sync, which ends when there is something new.
            ours.call("set_account_data", type="org.example.news", content={"at": time.time_ns()})
            ours.sync()
        answer = host.wait(request)
        assert answer.is_ok, host.logs[-20:]
        assert answer.payload["device_id"] == theirs.device_id
    assert ours.call("cross_signing_status")["holds_self_signing_key"]
    state = ours.call("backup_state")
    assert state["is_enabled"] and state["has_key"]


def test_a_foreign_device_is_sent_our_secrets(
    host: RuntimeHost, homeserver: Homeserver, foreign_client: Callable[..., ForeignClient]
) -> None:
    account = homeserver.account()
    ours = Talker(host, homeserver, account)
    ours.call("bootstrap_cross_signing", password=account.password)
    ours.call("create_backup")
    theirs = foreign_client(homeserver.login(account.user, account.password))
    # Nobody vouches for it yet: it gets nothing.
    theirs.cross_signing_status()
    theirs.devices(user_id=account.user_id)
    theirs.request_secrets()
    ours.sync_until(
        lambda: any("not verified: refused" in record["message"] for record in host.logs)
    )
    ours.call("sign_device", device_id=theirs.device_id)
    held = theirs.cross_signing_status()["privateKeysCachedLocally"]
    assert not any(held.values())
    again = foreign_client(homeserver.login(account.user, account.password))
    ours.call("sign_device", device_id=again.device_id)
    again.devices(user_id=account.user_id)
    again.request_secrets()
    ours.sync_until(
        lambda: all(again.cross_signing_status()["privateKeysCachedLocally"].values()),
        timeout_ms=100,
    )
    status = again.cross_signing_status()
    assert status["ready"]
