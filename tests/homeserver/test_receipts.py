"""Typing, receipts, read markers, reports and who is ignored, from C, Lua and Fennel."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.lua.interpreters import INTERPRETERS, Interpreter
from tests.support.driver import driver
from tests.support.homeserver import Homeserver
from tests.support.scenario import Scene, make_scene, play

pytestmark = pytest.mark.homeserver

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SOME = [lua for lua in INTERPRETERS if lua.name in ("luajit", "lua5.5")]

each_of_some = pytest.mark.parametrize("lua", SOME, ids=lambda lua: lua.name)


@each_of_some
@pytest.mark.parametrize("script", ["homeserver/lua/receipts.lua", "fennel/receipts.fnl"])
def test_receipts(lua: Interpreter, stage: Path, homeserver: Homeserver, script: str) -> None:
    play(lua, stage, script, make_scene(homeserver).env)


@each_of_some
def test_safety(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    scene = make_scene(homeserver)
    play(lua, stage, "homeserver/lua/safety.lua", scene.env)
    assert sorted(reasons(scene)) == ["", "rude"]


def reasons(scene: Scene) -> list[str]:
    """Why events of a room were reported, as the administrators read it."""
    admin = scene.server.register(admin=True)
    path = f"/_synapse/admin/v1/event_reports?room_id={quote(scene.room_id)}"
    reports = scene.server.request("GET", path, admin.token)["event_reports"]
    assert {each["user_id"] for each in reports} == {scene.alice.user_id}
    assert {each["sender"] for each in reports} == {scene.bob.user_id}
    return [each["reason"] for each in reports]


def test_typing_is_said_again_until_the_client_is_closed(
    stage: Path, homeserver: Homeserver
) -> None:
    """What is said once lapses after a second; the homeserver looks every few seconds."""
    scene = make_scene(homeserver)
    typing = "client:set_typing(%s, true, { timeout_ms = 1000 })"
    with driver(stage, homeserver, scene.bob) as watcher:
        watcher.sync()
        watcher.hear("typing")
        with driver(stage, homeserver, scene.alice) as writer:
            writer.get(typing, scene.room_id)
            [said] = watcher.sync_until("typing")
            assert said["user_ids"] == [scene.alice.user_id]
            watcher.sync("{ timeout_ms = 9000 }")
            assert watcher.take("typing") == []
        [said] = watcher.sync_until("typing")
        assert said["user_ids"] == []


def test_receipts_and_safety_from_c(run_host: Run, homeserver: Homeserver) -> None:
    run_host("receipts", env=make_scene(homeserver).env)
