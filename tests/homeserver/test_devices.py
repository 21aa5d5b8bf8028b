"""One's own devices from C, Lua and Fennel, against a real homeserver."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lua.interpreters import HERE as LUA
from tests.lua.interpreters import INTERPRETERS
from tests.support.homeserver import Homeserver

pytestmark = [
    pytest.mark.homeserver,
    pytest.mark.skipif("MATRIX_TEST_HOMESERVER" in os.environ, reason="deletes all devices"),
]

HERE = Path(__file__).parent
LUA_5_4 = next(lua for lua in INTERPRETERS if lua.name == "lua5.4")


@pytest.fixture
def user(homeserver: Homeserver) -> dict[str, str]:
    account = homeserver.register()
    return {
        "MATRIX_HOMESERVER": homeserver.url,
        "MATRIX_USER": account.user,
        "MATRIX_PASSWORD": account.password,
    }


def test_from_lua(stage: Path, user: dict[str, str]) -> None:
    done = LUA_5_4.run(stage, HERE / "lua" / "devices.lua", env=user)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "done\n")


def test_from_c(run_host: Callable[..., object], user: dict[str, str]) -> None:
    run_host("devices", env=user)


def test_from_fennel(stage: Path, user: dict[str, str]) -> None:
    env = {name.replace("MATRIX_", "MATRIX_TEST_"): value for name, value in user.items()}
    spec = HERE.parent / "fennel" / "devices.fnl"
    done = LUA_5_4.run(stage, LUA / "run.lua", spec, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
