"""Events that are asked for, from C, Lua and Fennel: history, cursors, relations, search."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lua.interpreters import INTERPRETERS, Interpreter
from tests.support.driver import driver
from tests.support.homeserver import Homeserver
from tests.support.rooms import text
from tests.support.scenario import make_scene, play

pytestmark = pytest.mark.homeserver

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SOME = [lua for lua in INTERPRETERS if lua.name in ("lua5.1", "lua5.4")]


@pytest.mark.parametrize("lua", SOME, ids=lambda lua: lua.name)
def test_history(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    play(lua, stage, "homeserver/lua/history.lua", make_scene(homeserver).env)


@pytest.mark.parametrize("lua", INTERPRETERS, ids=lambda lua: lua.name)
def test_cursors(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    play(lua, stage, "homeserver/lua/cursors.lua", make_scene(homeserver).env)


@pytest.mark.parametrize("lua", SOME, ids=lambda lua: lua.name)
def test_history_from_fennel(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    play(lua, stage, "fennel/history.fnl", make_scene(homeserver).env)


def test_history_from_c(run_host: Run, homeserver: Homeserver) -> None:
    run_host("history", env=make_scene(homeserver).env)


def test_promises_of_cursors(run_host: Run, homeserver: Homeserver) -> None:
    scene, count = make_scene(homeserver), 65
    for number in range(1, count + 1):
        content = text(f"number {number}")
        homeserver.send(scene.alice, scene.room_id, "m.room.message", content)
    run_host("cursors", env=scene.env | {"MATRIX_COUNT": str(count)})


def test_history_is_decrypted_before_any_sync(
    stage: Path, homeserver: Homeserver, tmp_path: Path
) -> None:
    """A client that was restarted has the keys in its store."""
    alice, bob = homeserver.account(), homeserver.account()
    create = "client:create_room({ encrypted = true, preset = 'private_chat', invite = { %s } })"
    with driver(stage, homeserver, alice) as sender:
        room_id = sender.get(create, bob.user_id)["room_id"]
        with driver(stage, homeserver, bob, tmp_path) as reader:
            reader.get("client:join_room(%s)", room_id)
            reader.sync()
            sender.sync()
            event_id = sender.get("client:send_text(%s, 'secret')", room_id)["event_id"]
            reader.sync()
        with driver(stage, homeserver, bob, tmp_path) as reader:
            found = reader.get("client:fetch_event(%s, %s)", room_id, event_id)["event"]
            assert found["body"] == "secret" and found["encryption"]["is_decrypted"]
            page = reader.get("client:history(%s, { limit = 1 })", room_id)["events"]
            assert [each["body"] for each in page] == ["secret"]
