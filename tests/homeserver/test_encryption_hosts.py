"""Encryption from C, Lua and Fennel, against a real homeserver."""

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
def users(homeserver: Homeserver) -> dict[str, str]:
    alice, bob = homeserver.account(), homeserver.account()
    return {
        "MATRIX_HOMESERVER": homeserver.url,
        "MATRIX_USER": alice.user,
        "MATRIX_PASSWORD": alice.password,
        "MATRIX_USER2": bob.user,
        "MATRIX_PASSWORD2": bob.password,
    }


def test_from_lua(stage: Path, users: dict[str, str]) -> None:
    done = LUA_5_4.run(stage, HERE / "lua" / "encryption.lua", env=users)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "done\n")


def test_from_c(run_host: Callable[..., object], users: dict[str, str]) -> None:
    run_host("encryption", env=users)


def test_from_fennel(stage: Path, users: dict[str, str]) -> None:
    env = {name.replace("MATRIX_", "MATRIX_TEST_"): value for name, value in users.items()}
    spec = HERE.parent / "fennel" / "encryption.fnl"
    done = LUA_5_4.run(stage, LUA / "run.lua", spec, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
