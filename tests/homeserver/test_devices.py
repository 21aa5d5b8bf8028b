"""One's own devices from C, Lua and Fennel, against a real homeserver."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.homeserver import Homeserver
from tests.support.scenario import LUA_5_4, play, tell

pytestmark = [
    pytest.mark.homeserver,
    pytest.mark.skipif("MATRIX_TEST_HOMESERVER" in os.environ, reason="deletes all devices"),
]


@pytest.fixture
def user(homeserver: Homeserver) -> dict[str, str]:
    return tell(homeserver, homeserver.register())


def test_from_lua(stage: Path, user: dict[str, str]) -> None:
    play(LUA_5_4, stage, "homeserver/lua/devices.lua", user)


def test_from_c(run_host: Callable[..., object], user: dict[str, str]) -> None:
    run_host("devices", env=user)


def test_from_fennel(stage: Path, user: dict[str, str]) -> None:
    play(LUA_5_4, stage, "fennel/devices.fnl", user)
