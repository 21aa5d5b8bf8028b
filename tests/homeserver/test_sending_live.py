"""The queue of sends, from C, Lua and Fennel, with a homeserver that is there only later."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lua.interpreters import INTERPRETERS, Interpreter
from tests.support.client import request
from tests.support.homeserver import Homeserver
from tests.support.scenario import Scene, make_scene, play

pytestmark = pytest.mark.homeserver

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SOME = [lua for lua in INTERPRETERS if lua.name in ("luajit", "lua5.4")]


@pytest.mark.parametrize("lua", SOME, ids=lambda lua: lua.name)
@pytest.mark.parametrize("script", ["homeserver/lua/sending.lua", "fennel/sending.fnl"])
def test_sending(
    lua: Interpreter, stage: Path, homeserver: Homeserver, tmp_path: Path, script: str
) -> None:
    play(lua, stage, script, make_scene(homeserver), MATRIX_STORE=str(tmp_path))


def test_sending_from_c(run_host: Run, homeserver: Homeserver, tmp_path: Path) -> None:
    scene = make_scene(homeserver)
    run_host("sending", env=scene.env | {"MATRIX_STORE": str(tmp_path)})
    assert messages(scene) == ["c0", "c1", "c3", "c4"]


def messages(scene: Scene) -> list[str]:
    """What is in the room, oldest first."""
    path = f"/_matrix/client/v3/rooms/{scene.room_id}/messages?dir=b&limit=100"
    chunk = request(scene.server.url, "GET", path, scene.bob.token)["chunk"]
    return [e["content"]["body"] for e in reversed(chunk) if e["type"] == "m.room.message"]
