"""Polls from C, Lua and Fennel against a real homeserver."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lua.interpreters import Interpreter
from tests.support.homeserver import Homeserver
from tests.support.scenario import LUA_5_4, in_two_luas, make_scene, play

pytestmark = pytest.mark.homeserver

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@in_two_luas
@pytest.mark.parametrize("script", ["homeserver/lua/polls.lua", "fennel/polls.fnl"])
def test_polls(lua: Interpreter, stage: Path, homeserver: Homeserver, script: str) -> None:
    play(lua, stage, script, make_scene(homeserver).env)


def test_where_messages_are_encrypted(stage: Path, homeserver: Homeserver) -> None:
    play(LUA_5_4, stage, "homeserver/lua/sealed_messages.lua", make_scene(homeserver).env)


def test_polls_from_c(run_host: Run, homeserver: Homeserver) -> None:
    run_host("polls", env=make_scene(homeserver).env)
