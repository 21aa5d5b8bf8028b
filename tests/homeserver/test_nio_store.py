"""A bot that ran on matrix-nio goes on with libmatrix: same device, same keys."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from nio import AsyncClient, AsyncClientConfig, RoomSendResponse

from tests.support.encrypted import Talker, encrypted_room
from tests.support.homeserver import Account, Homeserver
from tests.support.runtime_host import RuntimeHost

pytestmark = pytest.mark.homeserver


async def run_nio(homeserver: Homeserver, account: Account, room_id: str, folder: Path) -> None:
    """Syncs, reads the room and says something."""
    config = AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True)
    client = AsyncClient(
        homeserver.url, account.user_id, account.device_id, str(folder), config=config
    )
    client.restore_login(account.user_id, account.device_id, account.token)
    await client.sync(full_state=True)
    await client.keys_upload()
    await client.join(room_id)
    await client.sync(full_state=True)
    await client.keys_query()
    content = {"msgtype": "m.text", "body": "from nio"}
    sent = await client.room_send(
        room_id, "m.room.message", content, ignore_unverified_devices=True
    )
    assert isinstance(sent, RoomSendResponse), sent
    await client.close()


def test_a_store_of_nio_is_taken_over(
    host: RuntimeHost, homeserver: Homeserver, tmp_path: Path
) -> None:
    alice = Talker(host, homeserver, homeserver.account())
    bot = homeserver.account()
    room_id = encrypted_room(homeserver, alice)
    alice.call("invite_user", room_id=room_id, user_id=bot.user_id)
    asyncio.run(run_nio(homeserver, bot, room_id, tmp_path))
    keys = alice.wait_message("from nio")["encryption"]

    [database] = tmp_path.glob("*.db")
    session = {"user_id": bot.user_id, "device_id": bot.device_id, "access_token": bot.token}
    error = host.refuse(
        host.client(homeserver.url, encryption=True, **session),
        "import_nio_store",
        path=str(database),
        passphrase="wrong",
    )
    assert error["code"] == "E_INVALID_ARGUMENT"
    ours = Talker(host, homeserver, bot, tmp_path / "ours", **session)
    found = ours.call("import_nio_store", path=str(database))
    assert found["has_account"] and found["failed_count"] == 0
    assert found["olm_session_count"] > 0 and found["room_key_count"] > 0
    assert ours.call("encryption_status")["curve25519"] == keys["sender_key"]
    # What nio said can be read, and both hear each other by the sessions that there were.
    assert ours.wait_message("from nio")["encryption"]["session_id"] == keys["session_id"]
    ours.send(room_id, "still me")
    again = alice.wait_message("still me")["encryption"]
    assert again["sender_device_id"] == keys["sender_device_id"]
    alice.send(room_id, "welcome back")
    ours.wait_message("welcome back")
    with (tmp_path / "no.db").open("w") as file:
        file.write("no database")
    for path in ("no.db", "nothing.db"):
        error = host.refuse(ours.client, "import_nio_store", path=str(tmp_path / path))
        assert error["code"] == "E_INVALID_ARGUMENT"
