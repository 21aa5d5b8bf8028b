"""All that can be done with rooms, from Lua, C and Fennel, by two users of a real homeserver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lua.interpreters import Interpreter
from tests.support.homeserver import Homeserver
from tests.support.scenario import in_two_luas, play, two_users

pytestmark = pytest.mark.homeserver


@in_two_luas
@pytest.mark.parametrize("spec", ["rooms", "directory", "direct", "spaces"])
def test_from_lua(lua: Interpreter, stage: Path, homeserver: Homeserver, spec: str) -> None:
    play(lua, stage, f"homeserver/lua/{spec}.lua", two_users(homeserver))


@in_two_luas
def test_from_fennel(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    play(lua, stage, "fennel/rooms.fnl", two_users(homeserver))


def test_from_c(run_host: Callable[..., Any], homeserver: Homeserver) -> None:
    run_host("rooms", env=two_users(homeserver))
