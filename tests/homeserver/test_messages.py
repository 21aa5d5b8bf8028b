"""What can be sent into rooms, from C, Lua and Fennel, two clients talking."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.lua.interpreters import INTERPRETERS, Interpreter
from tests.support.driver import driver
from tests.support.homeserver import Homeserver
from tests.support.rooms import V3
from tests.support.scenario import Scene, make_scene, play

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


def lua_string(text: str) -> str:
    """A Lua string that every Lua reads, byte by byte."""
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"'


def event_of(server: Homeserver, scene: Scene, event_id: str) -> dict[str, Any]:
    """An event as the homeserver has it."""
    path = f"{V3}/rooms/{quote(scene.room_id)}/event/{quote(event_id)}"
    return dict(server.request("GET", path, scene.bob.token))
