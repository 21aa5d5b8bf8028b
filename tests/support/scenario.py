"""Scenarios: two users in one room, and a program with a client of each, in C, Lua or Fennel."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.lua.interpreters import HERE as LUA
from tests.lua.interpreters import Interpreter
from tests.support.homeserver import Account, Homeserver
from tests.support.rooms import shared_room

TESTS = Path(__file__).resolve().parents[1]


class Scene(NamedTuple):
    """Who takes part, and where."""

    server: Homeserver
    alice: Account
    bob: Account
    room_id: str

    @property
    def env(self) -> dict[str, str]:
        """What the program is told."""
        return {
            "MATRIX_HOMESERVER": self.server.url,
            "MATRIX_TOKEN": self.alice.token,
            "MATRIX_TOKEN2": self.bob.token,
            "MATRIX_USER_ID": self.alice.user_id,
            "MATRIX_USER_ID2": self.bob.user_id,
            "MATRIX_ROOM": self.room_id,
        }


def make_scene(server: Homeserver) -> Scene:
    """Two new users in a new room of the first."""
    alice, bob = server.account(), server.account()
    return Scene(server, alice, bob, shared_room(server, alice, bob))


def play(lua: Interpreter, stage: Path, script: str, scene: Scene, **more: str) -> None:
    """Runs a script of tests, named from the folder tests; fails with its own report."""
    done = lua.run(stage, LUA / "run.lua", TESTS / script, env=scene.env | more)
    assert done.returncode == 0, f"{lua.name} {script}\n{done.stdout}{done.stderr}"
    assert done.stderr == ""
