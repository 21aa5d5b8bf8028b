"""Encryption from C, Lua and Fennel, against a real homeserver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.homeserver import Homeserver
from tests.support.scenario import LUA_5_4, play, two_users

pytestmark = pytest.mark.homeserver


@pytest.fixture
def users(homeserver: Homeserver) -> dict[str, str]:
    return two_users(homeserver)


def test_from_lua(stage: Path, users: dict[str, str]) -> None:
    play(LUA_5_4, stage, "homeserver/lua/encryption.lua", users)


def test_from_c(run_host: Callable[..., object], users: dict[str, str]) -> None:
    run_host("encryption", env=users)


def test_from_fennel(stage: Path, users: dict[str, str]) -> None:
    play(LUA_5_4, stage, "fennel/encryption.fnl", users)
