"""Verifications between two libmatrix clients, from C, Lua and Fennel."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lua.interpreters import Interpreter
from tests.support.homeserver import Homeserver
from tests.support.scenario import in_two_luas, make_scene, play

pytestmark = [
    pytest.mark.homeserver,
    pytest.mark.skipif("MATRIX_TEST_HOMESERVER" in os.environ, reason="resets identities"),
]


@in_two_luas
def test_from_lua(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    play(lua, stage, "homeserver/lua/verification.lua", make_scene(homeserver).env)


@in_two_luas
def test_from_fennel(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    play(lua, stage, "fennel/verification.fnl", make_scene(homeserver).env)


def test_from_c(run_host: Callable[..., object], homeserver: Homeserver) -> None:
    run_host("verification", env=make_scene(homeserver).env)
