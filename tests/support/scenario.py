"""Scenarios: two users, and a program with a client of each, in C, Lua or Fennel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.lua.interpreters import HERE as LUA
from tests.lua.interpreters import INTERPRETERS, Interpreter
from tests.support.homeserver import Account, Homeserver
from tests.support.rooms import shared_room

TESTS = Path(__file__).resolve().parents[1]


# Some of the interpreters, where all of them would prove no more.
LUA_5_4 = next(lua for lua in INTERPRETERS if lua.name == "lua5.4")
TWO_LUAS = [lua for lua in INTERPRETERS if lua.name in ("luajit", "lua5.4")]
in_two_luas = pytest.mark.parametrize("lua", TWO_LUAS, ids=lambda lua: lua.name)


def tell(server: Homeserver, *accounts: Account) -> dict[str, str]:
    """What programs are told of a homeserver and one or two users, by the environment."""
    told = {"MATRIX_HOMESERVER": server.url}
    if "MATRIX_TEST_CA_FILE" in os.environ:
        told["MATRIX_CA_FILE"] = os.environ["MATRIX_TEST_CA_FILE"]
    for suffix, account in zip(("", "2"), accounts, strict=False):
        told[f"MATRIX_USER{suffix}"] = account.user
        told[f"MATRIX_PASSWORD{suffix}"] = account.password
        told[f"MATRIX_USER_ID{suffix}"] = account.user_id
        told[f"MATRIX_TOKEN{suffix}"] = account.token
    return told


def two_users(server: Homeserver) -> dict[str, str]:
    """What programs are told of two new users."""
    return tell(server, server.account(), server.account())


class Scene(NamedTuple):
    """Two users in one room."""

    server: Homeserver
    alice: Account
    bob: Account
    room_id: str

    @property
    def env(self) -> dict[str, str]:
        """What the program is told."""
        return tell(self.server, self.alice, self.bob) | {"MATRIX_ROOM": self.room_id}


def make_scene(server: Homeserver) -> Scene:
    """Two new users in a new room of the first."""
    alice, bob = server.account(), server.account()
    return Scene(server, alice, bob, shared_room(server, alice, bob))


def play(
    lua: Interpreter, stage: Path, script: str, env: dict[str, str] | None = None, *mode: str
) -> None:
    """Runs a script of tests, named from the folder tests; fails with its own report."""
    done = lua.run(stage, LUA / "run.lua", TESTS / script, *mode, env=env)
    problem = f"{lua.name} {script}: {done.returncode}\n{done.stdout}{done.stderr}"
    assert (done.returncode, done.stderr) == (0, ""), problem
