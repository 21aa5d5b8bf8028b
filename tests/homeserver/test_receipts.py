"""Typing, receipts, read markers, reports and who is ignored, from C, Lua and Fennel."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lua.interpreters import INTERPRETERS, Interpreter
from tests.support.homeserver import Homeserver
from tests.support.scenario import make_scene, play

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
    play(lua, stage, "homeserver/lua/safety.lua", make_scene(homeserver).env)


def test_receipts_and_safety_from_c(run_host: Run, homeserver: Homeserver) -> None:
    run_host("receipts", env=make_scene(homeserver).env)
