"""Rooms stay encrypted, whatever a homeserver says of them later."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer
from tests.support.sync_script import SESSION, Homeserver, answer, joined, rooms, state

ENCRYPTED = state("m.room.encryption", algorithm="m.megolm.v1.aes-sha2")


def refuses(host: RuntimeHost, client: int, script: Homeserver) -> bool:
    """Whether a client without encryption sends nothing."""
    failure = host.refuse(client, "send_text", room_id="!r:x", body="secret")
    return failure["code"] == "E_ENCRYPTION_UNSUPPORTED" and not script.sent


@pytest.mark.parametrize("way", ["invite", "knock", "leave"])
def test_a_way_back_into_a_room_does_not_turn_encryption_off(host: RuntimeHost, way: str) -> None:
    between = {"leave": {"timeline": {"events": []}}, "invite": {}, "knock": {}}[way]
    script = Homeserver(
        answer("s1", join={"!r:x": joined(states=[ENCRYPTED])}),
        answer("s2", **{way: {"!r:x": between}}),
        answer("s3", join={"!r:x": joined(states=[state("m.room.create")])}),
    )
    with ScriptedServer(script) as server:
        client = host.client(server.url, encryption=False, **SESSION)
        for _ in range(3):
            host.call(client, "sync_once")
        assert rooms(host, client)["!r:x"]["is_encrypted"]
        assert refuses(host, client, script)


def test_a_forgotten_room_is_still_encrypted(tmp_path: Path) -> None:
    script = Homeserver(
        answer("s1", join={"!r:x": joined(states=[ENCRYPTED])}),
        answer("s2", leave={"!r:x": {}}),
        answer("s3", join={"!r:x": joined(states=[state("m.room.create")])}),
    )
    options = {"encryption": False, "store_path": str(tmp_path), **SESSION}
    with ScriptedServer(script) as server:
        with RuntimeHost() as host:
            client = host.client(server.url, **options)
            host.call(client, "sync_once")
            host.call(client, "sync_once")
            host.call(client, "forget_room", room_id="!r:x")
            assert "!r:x" not in rooms(host, client)
            assert refuses(host, client, script)
            host.call(client, "sync_once")
            assert refuses(host, client, script)
        with RuntimeHost() as host:
            assert refuses(host, host.client(server.url, **options), script)


def test_what_the_store_knows_from_before_is_asked_again(tmp_path: Path) -> None:
    """Somebody may have turned encryption on since the client ended."""
    script = Homeserver(answer("s1", join={"!r:x": joined(states=[state("m.room.create")])}))
    options = {"encryption": False, "store_path": str(tmp_path), **SESSION}
    with ScriptedServer(script) as server, RuntimeHost() as host:
        client = host.client(server.url, **options)
        host.call(client, "sync_once")
        host.call(client, "send_text", room_id="!r:x", body="all may read this")
        assert len(script.sent) == 1
    script.sent.clear()
    script.encryption = Answer(ENCRYPTED["content"])
    with ScriptedServer(script) as server, RuntimeHost() as later:
        assert refuses(later, later.client(server.url, **options), script)


def test_a_room_that_a_sync_saw_half_made_is_encrypted(host: RuntimeHost) -> None:
    """The sync is answered between the creator's join and m.room.encryption."""
    script = Homeserver(answer("s1", join={"!r:x": joined(states=[state("m.room.create")])}))

    def serve(request: Request) -> Answer:
        if request.path.endswith("/createRoom"):
            return Answer({"room_id": "!r:x"})
        return script(request)

    with ScriptedServer(serve) as server:
        client = host.client(server.url, encryption=False, **SESSION)
        host.call(client, "sync_once")
        host.call(client, "create_room", encrypted=True)
        assert refuses(host, client, script)
