"""Answers to /sync with anything anywhere: the sync goes on, and what is sound arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libmatrix.table_gen import EVENTS
from tests.support.json_places import paths, put
from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer

ME = "@me:x"


def state(kind: str, key: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": kind,
        "state_key": key,
        "sender": "@a:x",
        "event_id": "$e",
        "origin_server_ts": 1,
        "content": content,
        "unsigned": {"prev_content": {"displayname": "Old"}},
    }


STATES = [
    state("m.room.name", "", {"name": "Tea"}),
    state("m.room.topic", "", {"topic": "t", "m.topic": {"m.text": [{"body": "b"}]}}),
    state("m.room.canonical_alias", "", {"alias": "#a:x"}),
    state("m.room.avatar", "", {"url": "mxc://x/y"}),
    state("m.room.encryption", "", {"algorithm": "m.megolm.v1.aes-sha2"}),
    state("m.room.member", ME, {"membership": "join", "displayname": "Me"}),
    state("m.room.member", "@a:x", {"membership": "leave"}),
]
MESSAGE = {
    "type": "m.room.message",
    "sender": "@a:x",
    "event_id": "$m",
    "origin_server_ts": 5,
    "content": {"msgtype": "m.text", "body": "hi"},
}
SOUND = {**MESSAGE, "event_id": "$sound"}
ROOM: dict[str, Any] = {
    "summary": {"m.heroes": ["@a:x"], "m.joined_member_count": 2, "m.invited_member_count": 0},
    "state": {"events": STATES},
    "timeline": {"events": [MESSAGE, *STATES[:2]], "limited": True, "prev_batch": "p"},
    "account_data": {"events": [{"type": "m.tag", "content": {"tags": {}}}]},
    "unread_notifications": {"notification_count": 3, "highlight_count": 1},
    "ephemeral": {
        "events": [
            {"type": "m.typing", "content": {"user_ids": ["@a:x"]}},
            {"type": "m.receipt", "content": {"$m": {"m.read": {"@a:x": {"ts": 1}}}}},
        ]
    },
}
SEALED = {
    "algorithm": "m.olm.v1.curve25519-aes-sha2",
    "sender_key": "A" * 43,
    "ciphertext": {"A" * 43: {"type": 0, "body": "AAAA"}},
}
LATE = {**ROOM, "state_after": {"events": STATES}}
PRESENCE = {"type": "m.presence", "sender": "@a:x", "content": {"presence": "online"}}
WHOLE: dict[str, Any] = {
    "next_batch": "s1",
    "account_data": {"events": [{"type": "m.direct", "content": {"@a:x": ["!a:x"]}}]},
    "to_device": {
        "events": [
            {"type": "m.x", "sender": "@a:x", "content": {}},
            {"type": "m.room.encrypted", "sender": "@a:x", "content": SEALED},
            {"type": "m.room_key.withheld", "sender": "@a:x", "content": {"code": "m.no_olm"}},
        ]
    },
    "device_lists": {"changed": ["@a:x"], "left": ["@b:x"]},
    "device_one_time_keys_count": {"signed_curve25519": 50},
    "device_unused_fallback_key_types": ["signed_curve25519"],
    "presence": {"events": [PRESENCE]},
    "rooms": {
        "join": {"!a:x": ROOM, "!b:x": LATE},
        "invite": {"!c:x": {"invite_state": {"events": STATES}}},
        "leave": {"!d:x": {"state": {"events": STATES}, "timeline": {"events": [MESSAGE]}}},
        "knock": {"!e:x": {"knock_state": {"events": STATES}}},
    },
}


# What a Synapse answered (tests/support/record_syncs.py), and what holds all there is.
RECORDED = json.loads(Path(__file__).with_name("recorded_syncs.json").read_text("utf-8"))
ANSWERS: list[dict[str, Any]] = [WHOLE, *RECORDED]
KEPT = (("next_batch",), ("rooms",), ("rooms", "join"))
PLACES = [
    (number, path)
    for number, answer in enumerate(ANSWERS)
    for path in paths(answer)
    if path not in KEPT
]
WRONG = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(10**18, 10**40), st.floats(),
    st.text(max_size=5), st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
    st.sampled_from(["join", "ban", "@a:x", "!a:x", {"membership": 5}, [["@a:x"]], 1e400]),
)  # fmt: skip


@pytest.fixture(scope="module")
def host() -> Iterator[RuntimeHost]:
    with RuntimeHost() as running:
        yield running


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(PLACES), WRONG), min_size=1, max_size=4))
def test_anything_anywhere(
    host: RuntimeHost, changes: list[tuple[tuple[int, tuple[Any, ...]], Any]]
) -> None:
    # The first says which answer it is; what fits no place of it is passed over.
    value = json.loads(json.dumps(ANSWERS[changes[0][0][0]]))
    value["next_batch"] = "s1"
    value["rooms"].setdefault("join", {})
    for (_, path), wrong in changes:
        put(value, path, wrong)
    value["rooms"]["join"]["!sound:x"] = {"timeline": {"events": [SOUND]}}

    def script(request: Request) -> Answer:
        return Answer(value)

    with ScriptedServer(script) as server:
        client = host.client(
            server.url, user_id=ME, device_id="D", access_token="token", encryption=True
        )
        messages = host.subscribe(client)
        for kind in EVENTS:
            if kind != "message":
                host.subscribe(client, kind)
        host.events.clear()
        host.logs.clear()
        for _ in range(2):
            frame = host.wait(host.submit(client, "sync_once"))
            assert frame.is_ok, (frame.payload, host.logs)
            assert frame.payload["next_batch"] == "s1"
        found = [each.payload["event_id"] for each in host.events if each.target == messages]
        assert found.count("$sound") == 2
        assert "!sound:x" in [room["room_id"] for room in host.call(client, "rooms")["rooms"]]
        assert not [record for record in host.logs if record.get("code") == "E_INTERNAL"]
        host.send("close_client", client)
