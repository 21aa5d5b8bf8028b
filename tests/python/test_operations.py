"""The operations against a real homeserver, without the core between."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.support.homeserver import Account, Homeserver
from tests.support.runtime_host import RuntimeHost

pytestmark = pytest.mark.homeserver


@pytest.fixture
def other(homeserver: Homeserver) -> Account:
    """Somebody else."""
    return homeserver.account()


def login(host: RuntimeHost, server: Homeserver, account: Account, **options: Any) -> int:
    client = host.client(server.url, **options)
    host.call(client, "login_password", user=account.user, password=account.password)
    return client


def rooms(host: RuntimeHost, client: int) -> dict[str, Any]:
    return {room["room_id"]: room for room in host.call(client, "rooms")["rooms"]}


def put_raw(server: Homeserver, account: Account, path: str, body: bytes) -> int:
    """PUTs a body as it is; gives the status."""
    parts = urlsplit(server.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("PUT", path, body, {"Authorization": f"Bearer {account.token}"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_login_and_logout(host: RuntimeHost, homeserver: Homeserver, account: Account) -> None:
    client = host.client(homeserver.url, device_id="MINE")
    wrong = host.refuse(client, "login_password", user=account.user, password="wrong")
    assert wrong["code"] == "M_FORBIDDEN" and wrong["http_status"] == 403
    word = account.password
    result = host.call(client, "login_password", user=account.user_id, password=word)
    assert result == {
        "user_id": account.user_id, "device_id": "MINE", "homeserver": homeserver.url
    }  # fmt: skip
    again = host.refuse(client, "login_password", user=account.user, password=word)
    assert again["code"] == "E_ALREADY_LOGGED_IN"
    assert host.call(client, "whoami") == {
        "user_id": account.user_id, "device_id": "MINE", "is_guest": False
    }  # fmt: skip
    host.call(client, "logout")
    assert host.refuse(client, "whoami")["code"] == "E_NOT_LOGGED_IN"
    chosen = host.call(
        client, "login_password", user=account.user, password=word, device_id="OTHER"
    )
    assert chosen["device_id"] == "OTHER"
    assert word not in str(host.logs)


def test_an_existing_token(host: RuntimeHost, homeserver: Homeserver, account: Account) -> None:
    client = host.client(homeserver.url, user_id=account.user_id, access_token=account.token)
    assert host.call(client, "whoami")["device_id"] == account.device_id
    void = host.client(homeserver.url, user_id=account.user_id, access_token="syt_void")
    error = host.refuse(void, "whoami")
    assert error["code"] == "M_UNKNOWN_TOKEN" and "syt_void" not in str((error, host.logs))
    assert host.refuse(void, "whoami")["code"] == "E_NOT_LOGGED_IN"


def test_a_store_is_a_session(
    host: RuntimeHost, homeserver: Homeserver, account: Account, tmp_path: Path
) -> None:
    room_id = homeserver.create_room(account, name="Kept")
    client = login(host, homeserver, account, store_path=str(tmp_path))
    first = host.call(client, "sync_once")["next_batch"]
    me = host.call(client, "whoami")
    host.send("close_client", client)

    client = host.client(homeserver.url, store_path=str(tmp_path))
    assert rooms(host, client)[room_id]["name"] == "Kept"
    assert host.call(client, "whoami") == me
    assert host.call(client, "sync_once")["event_count"] == 0
    assert first
    host.call(client, "logout")
    host.send("close_client", client)
    client = host.client(homeserver.url, store_path=str(tmp_path))
    assert host.refuse(client, "whoami")["code"] == "E_NOT_LOGGED_IN"
    assert rooms(host, client) == {}


def test_two_users_talk(
    host: RuntimeHost, homeserver: Homeserver, account: Account, other: Account
) -> None:
    alice, bob = login(host, homeserver, account), login(host, homeserver, other)
    room_id = host.call(
        alice, "create_room",
        name="Tea", topic="Green", preset="private_chat", invite=[other.user_id],
    )["room_id"]  # fmt: skip
    host.call(bob, "sync_once")
    invited = rooms(host, bob)[room_id]
    assert (invited["membership"], invited["name"]) == ("invite", "Tea")
    assert host.call(bob, "join_room", room_id_or_alias=room_id, reason="thirst") == {
        "room_id": room_id
    }
    heard = host.subscribe(bob, not_own=True)
    host.call(bob, "sync_once")
    host.events.clear()
    sent = host.call(
        alice, "send_text", room_id=room_id, body="hello ü 👋", html="<b>hello</b>", txn_id="t/1 ?"
    )
    again = host.call(alice, "send_text", room_id=room_id, body="hello ü 👋", txn_id="t/1 ?")
    assert again == sent
    thread = host.call(alice, "send_text", room_id=room_id, body="more", thread_id=sent["event_id"])
    while len(host.events) < 2:
        host.call(bob, "sync_once", timeout_ms=5000)
    first, second = (frame.payload for frame in host.events)
    assert host.events[0].target == heard
    assert first["event_id"] == sent["event_id"] and first["body"] == "hello ü 👋"
    assert first["sender"] == account.user_id and not first["is_historic"]
    assert first["content"]["formatted_body"] == "<b>hello</b>"
    assert second["event_id"] == thread["event_id"]
    assert second["content"]["m.relates_to"]["rel_type"] == "m.thread"
    room = rooms(host, bob)[room_id]
    assert (room["joined_member_count"], room["topic"]) == (2, "Green")
    assert room["notification_count"] >= 1


def test_a_room_by_alias_and_a_room_left(
    host: RuntimeHost, homeserver: Homeserver, account: Account, other: Account
) -> None:
    alice, bob = login(host, homeserver, account), login(host, homeserver, other)
    name = account.user.strip("@").split(":")[0] + "-tea"
    made = {"preset": "public_chat", "visibility": "public", "room_alias_name": name}
    room_id = host.call(alice, "create_room", **made)["room_id"]
    assert host.refuse(alice, "create_room", **made)["code"] == "M_ROOM_IN_USE"
    host.call(alice, "sync_once")
    alias = rooms(host, alice)[room_id]["canonical_alias"]
    assert rooms(host, alice)[room_id]["name"] == alias
    assert host.call(bob, "join_room", room_id_or_alias=alias)["room_id"] == room_id
    host.call(bob, "sync_once")
    assert rooms(host, bob)[room_id]["membership"] == "join"
    path = f"/_matrix/client/v3/rooms/{quote(room_id)}"
    homeserver.request("POST", f"{path}/ban", account.token, {"user_id": other.user_id})
    host.call(bob, "sync_once")
    assert rooms(host, bob)[room_id]["membership"] == "ban"
    missing = host.refuse(bob, "join_room", room_id_or_alias=f"#no-{name}:localhost")
    assert missing["code"] == "M_NOT_FOUND"


def test_a_direct_room_is_named_after_the_other(
    host: RuntimeHost, homeserver: Homeserver, account: Account, other: Account
) -> None:
    path = f"/_matrix/client/v3/profile/{quote(other.user_id)}/displayname"
    homeserver.request("PUT", path, other.token, {"displayname": "Bob the Builder"})
    alice = login(host, homeserver, account)
    room_id = host.call(
        alice, "create_room", preset="trusted_private_chat", invite=[other.user_id], is_direct=True
    )["room_id"]
    path = f"/_matrix/client/v3/user/{quote(account.user_id)}/account_data/m.direct"
    homeserver.request("PUT", path, account.token, {other.user_id: [room_id]})
    host.call(alice, "sync_once")
    room = rooms(host, alice)[room_id]
    assert room["name"] == "Bob the Builder" and room["is_direct"]
    assert (room["joined_member_count"], room["invited_member_count"]) == (1, 1)
    homeserver.join(other, room_id)
    path = f"/_matrix/client/v3/rooms/{quote(room_id)}/leave"
    homeserver.request("POST", path, other.token, {})
    host.call(alice, "sync_once")
    assert rooms(host, alice)[room_id]["name"] == "Empty room (was Bob the Builder)"


def test_nothing_leaves_in_clear(
    host: RuntimeHost, homeserver: Homeserver, account: Account
) -> None:
    client = login(host, homeserver, account)
    room_id = host.call(client, "create_room", encrypted=True)["room_id"]
    clear = host.call(client, "create_room")["room_id"]
    for _ in range(2):
        error = host.refuse(client, "send_text", room_id=room_id, body="secret-word")
        assert error["code"] == "E_ENCRYPTION_UNSUPPORTED"
        host.call(client, "send_text", room_id=clear, body="public")
        host.call(client, "sync_once")
    assert rooms(host, client)[room_id]["is_encrypted"]
    assert not rooms(host, client)[clear]["is_encrypted"]
    # Turned on while nobody looked: known after the next sync.
    path = f"/_matrix/client/v3/rooms/{quote(clear)}/state/m.room.encryption"
    homeserver.request("PUT", path, account.token, {"algorithm": "m.megolm.v1.aes-sha2"})
    host.call(client, "sync_once")
    error = host.refuse(client, "send_text", room_id=clear, body="secret-word")
    assert error["code"] == "E_ENCRYPTION_UNSUPPORTED"
    path = f"/_matrix/client/v3/rooms/{quote(room_id)}/messages?dir=b&limit=50"
    assert "secret-word" not in json.dumps(homeserver.request("GET", path, account.token))


@pytest.mark.parametrize(
    "poison", [b'{"n":123456789012345678901234567890}', b'{"a":' * 900 + b"1" + b"}" * 900]
)
def test_poison_to_a_device_stops_no_sync(
    host: RuntimeHost, homeserver: Homeserver, account: Account, other: Account, poison: bytes
) -> None:
    room_id = homeserver.create_room(account, name="Tea", invite=[other.user_id])
    homeserver.join(other, room_id)
    client = login(host, homeserver, account)
    host.call(client, "sync_once")
    host.subscribe(client)
    body = b'{"messages":{%s:{"*":%s}}}' % (json.dumps(account.user_id).encode(), poison)
    assert put_raw(homeserver, other, "/_matrix/client/v3/sendToDevice/m.poison/t", body) == 200
    homeserver.send(other, room_id, "m.room.message", {"msgtype": "m.text", "body": "after"})
    while not host.events:
        host.call(client, "sync_once", timeout_ms=5000)
    assert host.events[0].payload["body"] == "after"
    assert host.call(client, "sync_once")["next_batch"]
