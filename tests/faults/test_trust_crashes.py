"""What happens to identities and backups when answers are lost, and when a homeserver lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.between import LOST, between
from tests.support.encrypted import ENCRYPTION, Talker
from tests.support.homeserver import Homeserver
from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request

pytestmark = pytest.mark.homeserver


def _is_upload(request: Request) -> bool:
    """The one that publishes the keys, not the one that asks how to."""
    return request.path.endswith("/device_signing/upload")


def test_keys_that_were_published_are_not_lost_with_the_answer(
    host: RuntimeHost, homeserver: Homeserver, tmp_path: Path
) -> None:
    account, store = homeserver.account(), tmp_path / "store"

    def lose(request: Request, answer: Answer) -> Answer:
        return LOST if _is_upload(request) and answer.status == 200 else answer

    with between(homeserver.url, lose) as proxy:
        first = Talker(host, Homeserver(proxy.url), account, store)
        error = host.refuse(first.client, "bootstrap_cross_signing", password=account.password)
        assert error["http_status"] == 502
        host.send("close_client", first.client)
        host.settle()
    again = Talker(host, homeserver, account, store)
    made = again.call("bootstrap_cross_signing")
    assert not made["is_new"]
    status = again.call("cross_signing_status")
    assert status["is_trusted"] and status["is_device_signed"]
    assert status["holds_master_key"] and status["holds_user_signing_key"]


def test_keys_that_were_refused_replace_nothing(
    host: RuntimeHost, homeserver: Homeserver, tmp_path: Path
) -> None:
    account = homeserver.account()
    talker = Talker(host, homeserver, account, tmp_path / "store")
    master_key = talker.call("bootstrap_cross_signing", password=account.password)["master_key"]
    error = host.refuse(talker.client, "reset_cross_signing", password="wrong")
    assert error["code"] == "M_FORBIDDEN"
    status = talker.call("cross_signing_status")
    assert status["master_key"] == master_key
    assert status["is_trusted"] and status["holds_master_key"] and status["is_device_signed"]


def test_the_key_of_a_backup_is_not_lost_with_the_answer(
    host: RuntimeHost, homeserver: Homeserver, tmp_path: Path
) -> None:
    account, store = homeserver.account(), tmp_path / "store"

    def lose(request: Request, answer: Answer) -> Answer:
        is_made = request.method == "POST" and request.path.endswith("/room_keys/version")
        return LOST if is_made else answer

    with between(homeserver.url, lose) as proxy:
        talker = Talker(host, Homeserver(proxy.url), account, store)
        assert host.refuse(talker.client, "create_backup")["http_status"] == 502
        host.send("close_client", talker.client)
        host.settle()
    again = Talker(host, homeserver, account, store)
    assert again.call("enable_backup")["has_key"]


def test_an_upload_that_fails_is_told_and_made_again(
    host: RuntimeHost, homeserver: Homeserver
) -> None:
    account = homeserver.account()
    refusal: list[Answer] = []

    def refuse(request: Request, answer: Answer) -> Answer:
        is_upload = request.method == "PUT" and request.path.endswith("/room_keys/keys")
        return refusal[0] if is_upload and refusal else answer

    state = {"type": "m.room.encryption", "content": ENCRYPTION}
    room_id = homeserver.create_room(account, initial_state=[state])
    with between(homeserver.url, refuse) as proxy:
        talker = Talker(host, Homeserver(proxy.url), account)
        talker.call("create_backup")
        talker.sync()
        refusal.append(Answer({"errcode": "M_FORBIDDEN", "error": "not now"}, 403))
        talker.send(room_id, "kept")
        assert host.refuse(talker.client, "upload_backup")["code"] == "M_FORBIDDEN"
        assert talker.call("backup_state")["waiting_count"] == 1
        refusal.clear()
        talker.call("upload_backup")
        assert talker.call("backup_state")["waiting_count"] == 0
        refusal.append(Answer({"errcode": "M_UNKNOWN_TOKEN", "error": "who?"}, 401))
        talker.call("discard_room_key", room_id=room_id)
        talker.send(room_id, "another key")
        assert host.refuse(talker.client, "upload_backup")["code"] == "M_UNKNOWN_TOKEN"


def _hidden(user_id: str, other_id: str, key: str) -> list[dict[str, Any]]:
    """Master keys that hide a user's own."""
    return [
        {},
        {user_id: None},
        {user_id: {"user_id": other_id, "usage": ["master"], "keys": {}}},
        {user_id: {"user_id": user_id, "usage": ["master"], "keys": {"ed25519:a": "b"}}},
        # The true one, without the signature that proves the verification.
        {user_id: _key(user_id, key)},
    ]


def test_a_homeserver_cannot_exchange_or_hide_an_identity(
    host: RuntimeHost, homeserver: Homeserver
) -> None:
    bob = Talker(host, homeserver, homeserver.account())
    bob.call("bootstrap_cross_signing", password=bob.account.password)
    account = homeserver.account()
    lie: dict[str, Any] = {}

    def tell(request: Request, answer: Answer) -> Answer:
        if request.path.endswith("/keys/query") and lie:
            for part, users in answer.body.items():
                if part.endswith("_keys") and part != "device_keys":
                    users.pop(bob.user_id, None)
            answer.body.setdefault("master_keys", {}).update(lie["master_keys"])
        return answer

    with between(homeserver.url, tell) as proxy:
        alice = Talker(host, Homeserver(proxy.url), account)
        alice.call("bootstrap_cross_signing", password=account.password)
        alice.call("sign_user", user_id=bob.user_id)
        key = alice.call("user_trust", user_id=bob.user_id)["master_key"]
        for masters in _hidden(bob.user_id, account.user_id, key):
            lie["master_keys"] = masters
            seen = alice.call("user_trust", user_id=bob.user_id, reload=True)
            assert seen["trust"] == "verified" and seen["master_key"] == key
        # Somebody else's key: that is told, and nobody is verified by it.
        lie["master_keys"] = {bob.user_id: _key(bob.user_id, "A" * 43)}
        seen = alice.call("user_trust", user_id=bob.user_id, reload=True)
        assert seen["trust"] == "violated" and seen["pinned_master_key"] == key
        error = host.refuse(alice.client, "sign_user", user_id=bob.user_id, master_key=key)
        assert error["code"] == "E_IDENTITY_MISMATCH"


def test_signatures_that_the_homeserver_does_not_take_are_an_error(
    host: RuntimeHost, homeserver: Homeserver
) -> None:
    account = homeserver.account()

    def refuse(request: Request, answer: Answer) -> Answer:
        if not request.path.endswith("/signatures/upload"):
            return answer
        failure = {"errcode": "M_INVALID_SIGNATURE", "error": "no"}
        return Answer({"failures": {account.user_id: {"D": failure}}})

    with between(homeserver.url, refuse) as proxy:
        talker = Talker(host, Homeserver(proxy.url), account)
        error = host.refuse(talker.client, "bootstrap_cross_signing", password=account.password)
        assert error["code"] == "M_INVALID_SIGNATURE"


def _key(user_id: str, key: str) -> dict[str, Any]:
    return {"user_id": user_id, "usage": ["master"], "keys": {f"ed25519:{key}": key}}
