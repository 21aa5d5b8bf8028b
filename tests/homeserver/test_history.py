"""Events that are asked for, from C, Lua and Fennel: history, cursors, relations, search."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lua.interpreters import INTERPRETERS, Interpreter
from tests.support.homeserver import Homeserver
from tests.support.rooms import text
from tests.support.scenario import make_scene, play

pytestmark = pytest.mark.homeserver

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SOME = [lua for lua in INTERPRETERS if lua.name in ("lua5.1", "lua5.4")]


@pytest.mark.parametrize("lua", SOME, ids=lambda lua: lua.name)
def test_history(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    play(lua, stage, "homeserver/lua/history.lua", make_scene(homeserver))


@pytest.mark.parametrize("lua", INTERPRETERS, ids=lambda lua: lua.name)
def test_cursors(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    play(lua, stage, "homeserver/lua/cursors.lua", make_scene(homeserver))


@pytest.mark.parametrize("lua", SOME, ids=lambda lua: lua.name)
def test_history_from_fennel(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    play(lua, stage, "fennel/history.fnl", make_scene(homeserver))


def test_history_from_c(run_host: Run, homeserver: Homeserver) -> None:
    run_host("history", env=make_scene(homeserver).env)


def test_promises_of_cursors(run_host: Run, homeserver: Homeserver) -> None:
    scene, count = make_scene(homeserver), 65
    for number in range(1, count + 1):
        content = text(f"number {number}")
        homeserver.send(scene.alice, scene.room_id, "m.room.message", content)
    run_host("cursors", env=scene.env | {"MATRIX_COUNT": str(count)})
