"""Syncs, the loop, every kind of event, state and where rooms end, from C, Lua and Fennel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lua.interpreters import HERE as LUA
from tests.lua.interpreters import INTERPRETERS
from tests.support.homeserver import Homeserver

pytestmark = pytest.mark.homeserver

HERE = Path(__file__).parent
LUA_5_4 = next(lua for lua in INTERPRETERS if lua.name == "lua5.4")


@pytest.fixture
def users(homeserver: Homeserver, tmp_path: Path) -> dict[str, str]:
    alice, bob = homeserver.account(), homeserver.account()
    return {
        "MATRIX_HOMESERVER": homeserver.url,
        "MATRIX_USER_ID": alice.user_id,
        "MATRIX_TOKEN": alice.token,
        "MATRIX_USER_ID2": bob.user_id,
        "MATRIX_TOKEN2": bob.token,
        "MATRIX_STORE": str(tmp_path / "bob"),
    }


def test_from_lua(stage: Path, users: dict[str, str]) -> None:
    done = LUA_5_4.run(stage, HERE / "lua" / "following.lua", env=users)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "done\n")


def test_from_fennel(stage: Path, users: dict[str, str]) -> None:
    spec = HERE.parent / "fennel" / "following.fnl"
    done = LUA_5_4.run(stage, LUA / "run.lua", spec, env=users)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_from_c(run_host: Callable[..., object], users: dict[str, str]) -> None:
    run_host("following", env=users)
