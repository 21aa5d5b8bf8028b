"""Identity, secret storage, key backup and key files from C, Lua and Fennel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lua.interpreters import Interpreter
from tests.support.homeserver import Homeserver
from tests.support.scenario import in_two_luas, play, two_users

pytestmark = pytest.mark.homeserver


@pytest.fixture
def env(homeserver: Homeserver, tmp_path: Path) -> dict[str, str]:
    """Two users who have no identity yet."""
    return two_users(homeserver) | {"MATRIX_FOLDER": str(tmp_path)}


@in_two_luas
@pytest.mark.parametrize("script", ["homeserver/lua/trust.lua", "fennel/trust.fnl"])
def test_trust(lua: Interpreter, stage: Path, env: dict[str, str], script: str) -> None:
    play(lua, stage, script, env)


def test_trust_from_c(run_host: Callable[..., object], env: dict[str, str]) -> None:
    run_host("trust", env=env)
