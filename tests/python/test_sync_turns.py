"""Whatever a sync is full of: the host gets it in parts, and others have their turns."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.runtime_host import SECONDS, RuntimeHost
from tests.support.scripted import ScriptedServer
from tests.support.sync_script import ME, SESSION, Homeserver, answer, joined, member, state

MANY = 3000
LIMIT = 10
READ = {f"$e{number}": {"m.read": {"@a:x": {"ts": number}}} for number in range(MANY)}
RECEIPTS = {"events": [{"type": "m.receipt", "content": READ}]}
TYPING = {"events": [{"type": "m.typing", "content": {"user_ids": ["@a:x"]}}] * MANY}
DATA = {"events": [{"type": f"m.x{number}", "content": {}} for number in range(MANY)]}
STATES = [state("m.x", f"{number}") for number in range(MANY)]
PRESENCE = {"type": "m.presence", "sender": "@a:x", "content": {"presence": "online"}}
NOTE = {"type": "m.x", "sender": "@a:x", "content": {}}
INVITE = {"invite_state": {"events": [member(ME, "invite")]}}
NAMES = [f"!{number}:x" for number in range(MANY)]
FLOODS = {
    "receipt": answer("s", join={"!r:x": joined(ephemeral=RECEIPTS)}),
    "typing": answer("s", join={"!r:x": joined(ephemeral=TYPING)}),
    "room_account_data": answer("s", join={"!r:x": joined(account_data=DATA)}),
    "state": answer("s", join={"!r:x": joined(states=STATES)}),
    "account_data": {"next_batch": "s", "account_data": DATA},
    "presence": {"next_batch": "s", "presence": {"events": [PRESENCE] * MANY}},
    "to_device": {"next_batch": "s", "to_device": {"events": [NOTE] * MANY}},
    "room": answer("s", join={name: joined() for name in NAMES}),
    "invite": answer("s", invite=dict.fromkeys(NAMES, INVITE)),
}


def fill(host: RuntimeHost) -> None:
    """Waits until the queue is full; not by `until`, which would make room."""
    deadline = time.monotonic() + SECONDS
    while not host.bridge.is_full(1):
        assert time.monotonic() < deadline


def delivered(host: RuntimeHost, kind: str, sync: dict[str, Any]) -> list[Any]:
    """What comes of a sync while the host takes nothing for some time."""
    with ScriptedServer(Homeserver(sync)) as server:
        client = host.client(server.url, **SESSION)
        wish = host.subscribe(client, kind)
        host.bridge.event_limit = LIMIT
        request = host.submit(client, "sync_once")
        fill(host)
        # Others are heard meanwhile.
        assert host.inside(lambda: len(host.bridge.queue)) < MANY / 2
        assert host.wait(request).is_ok
    return [frame.payload for frame in host.events if frame.target == wish]


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_waits_for_room(host: RuntimeHost, kind: str) -> None:
    assert len(delivered(host, kind, FLOODS[kind])) == MANY


def test_order_stays(host: RuntimeHost) -> None:
    assert [each["event_id"] for each in delivered(host, "receipt", FLOODS["receipt"])] == [*READ]
    host.events.clear()
    found = delivered(host, "state", FLOODS["state"])
    assert [each["state_key"] for each in found] == [each["state_key"] for each in STATES]


def test_no_state_is_missing_while_a_flood_waits(host: RuntimeHost) -> None:
    """What a joined room does not have is not there: a part of it would be taken for all."""
    last = [state("m.room.topic", topic="last"), state("m.room.encryption", algorithm="x")]
    sync = answer("s", join={"!r:x": joined(states=[*STATES, *last])})
    with ScriptedServer(Homeserver(sync)) as server:
        client = host.client(server.url, **SESSION)
        host.subscribe(client, "state")
        host.bridge.event_limit = LIMIT
        request = host.submit(client, "sync_once")
        fill(host)

        def known() -> Any:
            [it] = host.runtime._clients.values()
            room = it.state.rooms["!r:x"]
            return room.topic, room.is_encrypted, it.state.event("!r:x", "m.room.topic", "")

        topic, is_encrypted, event = host.inside(known)
        assert (topic, is_encrypted) == ("last", True) and event is not None
        assert host.wait(request).is_ok


def test_nothing_waits_before_a_timeline_that_may_encrypt(host: RuntimeHost) -> None:
    room = joined(state("m.room.encryption", algorithm="x"), states=STATES)
    with ScriptedServer(Homeserver(answer("s", join={"!r:x": room}))) as server:
        client = host.client(server.url, **SESSION)
        host.subscribe(client, "state")
        host.bridge.event_limit = LIMIT
        request = host.submit(client, "sync_once")
        fill(host)
        [it] = host.inside(lambda: [*host.runtime._clients.values()])
        assert host.inside(lambda: it.state.rooms["!r:x"].is_encrypted)
        assert host.wait(request).is_ok
