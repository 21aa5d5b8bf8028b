"""All that can be done with rooms, from Lua, C and Fennel, by two users of a real homeserver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lua.interpreters import HERE as LUA
from tests.lua.interpreters import INTERPRETERS, Interpreter
from tests.support.homeserver import Homeserver

pytestmark = pytest.mark.homeserver

FENNEL = Path(__file__).parents[1] / "fennel" / "rooms.fnl"
SPECS = Path(__file__).parent / "lua"
TWO_LUAS = [lua for lua in INTERPRETERS if lua.name in ("lua5.4", "luajit")]


def two_tokens(homeserver: Homeserver) -> dict[str, str]:
    given = {"MATRIX_TEST_HOMESERVER": homeserver.url}
    for name in ("ALICE", "BOB"):
        account = homeserver.account()
        given[f"MATRIX_TEST_{name}"] = account.user_id
        given[f"MATRIX_TEST_{name}_TOKEN"] = account.token
    return given


@pytest.mark.parametrize("lua", TWO_LUAS, ids=lambda lua: lua.name)
@pytest.mark.parametrize("spec", ["rooms", "directory", "direct", "spaces"])
def test_from_lua(lua: Interpreter, stage: Path, homeserver: Homeserver, spec: str) -> None:
    env = two_tokens(homeserver) | {"LUA_PATH": f"{SPECS}/?.lua"}
    done = lua.run(stage, LUA / "run.lua", SPECS / f"{spec}.lua", env=env)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


@pytest.mark.parametrize("lua", TWO_LUAS, ids=lambda lua: lua.name)
def test_from_fennel(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    done = lua.run(stage, LUA / "run.lua", FENNEL, env=two_tokens(homeserver))
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def test_from_c(run_host: Callable[..., Any], homeserver: Homeserver) -> None:
    run_host("rooms", env=two_tokens(homeserver))
