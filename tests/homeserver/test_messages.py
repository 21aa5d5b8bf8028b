"""What can be sent into rooms, from C, Lua and Fennel, two clients talking."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.lua.interpreters import INTERPRETERS, Interpreter
from tests.support.between import between
from tests.support.driver import driver
from tests.support.encrypted import Talker, encrypted_room
from tests.support.homeserver import Homeserver
from tests.support.rooms import V3, text
from tests.support.runtime_host import RuntimeHost
from tests.support.scenario import Scene, make_scene, play
from tests.support.scripted import Answer, Request

pytestmark = pytest.mark.homeserver

Run = Callable[..., "subprocess.CompletedProcess[str]"]

SOME = [lua for lua in INTERPRETERS if lua.name in ("luajit", "lua5.1", "lua5.4")]


@pytest.mark.parametrize("lua", SOME, ids=lambda lua: lua.name)
def test_sending_from_lua(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    play(lua, stage, "homeserver/lua/messages.lua", make_scene(homeserver).env)


@pytest.mark.parametrize("lua", SOME, ids=lambda lua: lua.name)
def test_sending_from_fennel(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    play(lua, stage, "fennel/messages.fnl", make_scene(homeserver).env)


def test_sending_from_c(run_host: Run, homeserver: Homeserver) -> None:
    run_host("messages", env=make_scene(homeserver).env)


def test_every_plane_of_unicode_arrives(stage: Path, homeserver: Homeserver) -> None:
    scene = make_scene(homeserver)
    # The first and the last of each plane, and some in between; what is no character goes too.
    planes = [chr(plane << 16 | place) for plane in range(17) for place in (0, 0x41, 0xFFFF)]
    assert {ord(each) >> 16 for each in planes} == set(range(17))
    texts = ["\u0000", "a\u0000b", "\u007f\u0080", "\u200f\ufdd0\ufffe\uffff", "\ud7ff\ue000"]
    with driver(stage, homeserver, scene.alice) as host:
        for text in [*texts, "".join(planes), *planes[::7]]:
            sent = host.get(f"client:send_text(%s, {lua_string(text)})", scene.room_id)
            content = event_of(homeserver, scene, sent["event_id"])["content"]
            assert content["body"] == text
            fetched = host.get("client:fetch_event(%s, %s)", scene.room_id, sent["event_id"])
            assert fetched["event"]["body"] == text
        for broken in ("\\237\\160\\189", "\\255", "\\244\\144\\128\\128", "\\192\\128"):
            line = f'{{ ok = pcall(client.send_text, client, %s, "{broken}") }}'
            assert host.do(line, scene.room_id) == {"ok": False}


def test_edits_in_clear_do_not_count_where_messages_are_encrypted(
    host: RuntimeHost, homeserver: Homeserver
) -> None:
    """A homeserver can make them up in anybody's name."""
    alice, bob = (Talker(host, homeserver, homeserver.account()) for _ in range(2))
    room_id = encrypted_room(homeserver, alice, bob)
    sent = alice.send(room_id, "pay Bob")
    homeserver.send(alice.account, room_id, "m.room.message", edit_of(sent, text("pay Mallory")))
    homeserver.send(alice.account, room_id, "m.room.encrypted", edit_of(sent, text("pay Mallory")))
    said = alice.call("edit_message", room_id=room_id, event_id=sent, body="pay Carol")
    bob.wait_message("* pay Carol")
    history = bob.call("edit_history", room_id=room_id, event_id=sent)
    assert history["event"]["body"] == "pay Bob"
    assert [each["event_id"] for each in history["edits"]] == [said["event_id"]]
    # Who cannot read the message cannot tell either.
    blind = Talker(host, homeserver, bob.account, encryption=False)
    assert blind.call("edit_history", room_id=room_id, event_id=sent)["edits"] == []


@pytest.mark.parametrize("is_whole", [False, True])
def test_nothing_that_came_in_clear_is_encrypted_by_an_edit(
    host: RuntimeHost, homeserver: Homeserver, is_whole: bool
) -> None:
    """The homeserver makes up an edit of a file, or the file: what stays of it would be signed."""
    file = {"msgtype": "m.file", "body": "a.pdf", "url": "mxc://localhost/good"}
    forged = file | {"url": "mxc://evil/bad"}

    def forge(request: Request, answer: Answer) -> Answer:
        if "/event/" not in request.path:
            return answer
        assert isinstance(answer.body, dict)
        event = answer.body
        edit = event | {"type": "m.room.message", "event_id": "$forged"}
        edit |= {"content": edit_of(event["event_id"], forged)}
        event = event | {"unsigned": {"m.relations": {"m.replace": edit}}}
        return Answer(event | {"type": "m.room.message", "content": file} if is_whole else event)

    with between(homeserver.url, forge) as proxy:
        alice = Talker(host, Homeserver(proxy.url), homeserver.account())
        room_id = encrypted_room(homeserver, alice)
        message = {"room_id": room_id, "type": "m.room.message", "content": file}
        event_id = alice.call("send_event", **message)["event_id"]
        caption = {"room_id": room_id, "event_id": event_id, "body": "my caption"}
        if is_whole:
            refused = host.refuse(alice.client, "edit_message", **caption)
            assert refused["code"] == "E_INVALID_ARGUMENT"
        else:
            alice.call("edit_message", **caption)
            said = alice.wait_message("* my caption")
            assert said["content"]["m.new_content"]["url"] == file["url"]


def edit_of(event_id: str, new: dict[str, Any]) -> dict[str, Any]:
    """The content of an edit."""
    relation = {"rel_type": "m.replace", "event_id": event_id}
    return {**new, "m.new_content": new, "m.relates_to": relation}


def lua_string(text: str) -> str:
    """A Lua string that every Lua reads, byte by byte."""
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"'


def event_of(server: Homeserver, scene: Scene, event_id: str) -> dict[str, Any]:
    """An event as the homeserver has it."""
    path = f"{V3}/rooms/{quote(scene.room_id)}/event/{quote(event_id)}"
    return dict(server.request("GET", path, scene.bob.token))
