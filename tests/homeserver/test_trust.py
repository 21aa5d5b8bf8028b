"""Identity, secret storage, key backup and key files from C, Lua and Fennel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lua.interpreters import HERE as LUA
from tests.lua.interpreters import INTERPRETERS, Interpreter
from tests.support.homeserver import Homeserver

pytestmark = pytest.mark.homeserver

TESTS = Path(__file__).resolve().parents[1]
SOME = [lua for lua in INTERPRETERS if lua.name in ("luajit", "lua5.4")]


@pytest.fixture
def env(homeserver: Homeserver, tmp_path: Path) -> dict[str, str]:
    """Two users who have no identity yet."""
    found = {"MATRIX_HOMESERVER": homeserver.url, "MATRIX_FOLDER": str(tmp_path)}
    for suffix in ("", "2"):
        account = homeserver.account()
        found[f"MATRIX_USER{suffix}"] = account.user
        found[f"MATRIX_PASSWORD{suffix}"] = account.password
    return found


@pytest.mark.parametrize("lua", SOME, ids=lambda lua: lua.name)
@pytest.mark.parametrize("script", ["homeserver/lua/trust.lua", "fennel/trust.fnl"])
def test_trust(lua: Interpreter, stage: Path, env: dict[str, str], script: str) -> None:
    done = lua.run(stage, LUA / "run.lua", TESTS / script, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def test_trust_from_c(run_host: Callable[..., object], env: dict[str, str]) -> None:
    run_host("trust", env=env)
