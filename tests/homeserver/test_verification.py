"""Verifications between two libmatrix clients, from C, Lua and Fennel."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lua.interpreters import INTERPRETERS, Interpreter
from tests.support.homeserver import Homeserver
from tests.support.scenario import Scene, make_scene, play

pytestmark = [
    pytest.mark.homeserver,
    pytest.mark.skipif("MATRIX_TEST_HOMESERVER" in os.environ, reason="resets identities"),
]

HERE = Path(__file__).parent
SOME = [lua for lua in INTERPRETERS if lua.name in ("luajit", "lua5.4")]
each_of_some = pytest.mark.parametrize("lua", SOME, ids=lambda lua: lua.name)


def passwords(scene: Scene) -> dict[str, str]:
    return {
        "MATRIX_USER": scene.alice.user,
        "MATRIX_USER2": scene.bob.user,
        "MATRIX_PASSWORD": scene.alice.password,
        "MATRIX_PASSWORD2": scene.bob.password,
    }


@each_of_some
def test_from_lua(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    scene = make_scene(homeserver)
    env = scene.env | passwords(scene)
    done = lua.run(stage, HERE / "lua" / "verification.lua", env=env)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "done\n")


@each_of_some
def test_from_fennel(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    scene = make_scene(homeserver)
    play(lua, stage, "fennel/verification.fnl", scene, **passwords(scene))


def test_from_c(run_host: Callable[..., object], homeserver: Homeserver) -> None:
    scene = make_scene(homeserver)
    run_host("verification", env=scene.env | passwords(scene))
