"""The record `event` where no subscription makes it: history, and events that came encrypted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from libmatrix.events.head import EventHead, MalformedEventError
from libmatrix.events.record import Decrypted, Marks
from tests.support.records import make_event
from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer
from tests.support.sync_script import ME, SESSION, answer, joined, message

ROOM = "!a:x"


def encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


def secret(text: str) -> dict[str, Any]:
    event = message("")
    return event | {"type": "m.room.encrypted", "content": {"ciphertext": text}}


def decrypt(room_id: str, head: EventHead, raw: Raw) -> Decrypted | None:
    """What cannot be decrypted stays as it came."""
    text = msgspec.json.decode(head.content)["ciphertext"]
    assert room_id == ROOM and msgspec.json.decode(raw)["type"] == "m.room.encrypted"
    if text == "lost":
        return None
    content = {
        "msgtype": "m.text",
        "body": text,
        "m.relates_to": {"event_id": "$t", "rel_type": "m.thread"},
    }
    return Decrypted("m.room.message", Raw(encode(content)), Raw(b'{"is_verified":true}'))


def test_a_record_is_what_a_subscription_gets(host: RuntimeHost) -> None:
    event = message("hi") | {"content": {"msgtype": "m.text", "body": "hi", "m.relates_to": 7}}
    with ScriptedServer(
        lambda _request: Answer(answer("s1", join={ROOM: joined(event)}))
    ) as server:
        client = host.client(server.url, **SESSION)
        host.subscribe(client, "any")
        host.call(client, "sync_once")
        host.settle()
    record = make_event(ROOM, encode(event), ME, "any", marks=Marks(is_historic=True))
    assert msgspec.json.decode(encode(record)) == host.events[0].payload


def test_a_malformed_event_has_no_record() -> None:
    for raw in (b"7", b"{}", encode(message("x") | {"content": []}), encode({"content": {}})):
        with pytest.raises(MalformedEventError):
            make_event(ROOM, raw, ME, "any")


def test_a_decrypted_event_takes_the_place_of_the_one_that_came(host: RuntimeHost) -> None:
    def serve(_request: Request) -> Answer:
        return Answer(answer("s1", join={ROOM: joined(secret("hi"), secret("lost"))}))

    with ScriptedServer(serve) as server:
        client = host.client(server.url, **SESSION)
        host.call(client, "ping")
        host.runtime._clients[client].decrypt = decrypt
        host.subscribe(client, "message", msgtype="m.text")
        host.subscribe(client, "any", type="m.room.encrypted")
        host.call(client, "sync_once")
        host.settle()
    clear, lost = (frame.payload for frame in host.events)
    assert (clear["type"], clear["body"], clear["thread_id"]) == ("m.room.message", "hi", "$t")
    assert clear["encryption"] == {"is_verified": True}
    assert clear["raw"] == secret("hi")
    assert lost["type"] == "m.room.encrypted" and "encryption" not in lost
    kept = make_event(ROOM, encode(secret("hi")), ME, "message", marks=Marks(True), decrypt=decrypt)
    assert msgspec.json.decode(encode(kept)) == clear
