"""The examples do against a homeserver what they say, in C, Lua and Fennel."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lua.interpreters import INTERPRETERS, ROOT, Interpreter, environment
from tests.support.homeserver import Account, Homeserver

EXAMPLES = ROOT / "examples"

Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.homeserver
each_interpreter = pytest.mark.parametrize("lua", INTERPRETERS, ids=lambda lua: lua.name)


def run(command: list[str | Path], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def variables(homeserver: Homeserver, account: Account, **more: str) -> dict[str, str]:
    return {
        "MATRIX_HOMESERVER": homeserver.url,
        "MATRIX_USER": account.user,
        "MATRIX_PASSWORD": account.password,
        **more,
    }


def lua_command(lua: Interpreter, file: Path) -> list[str | Path]:
    if file.suffix == ".fnl":
        return [lua.program, "-e", f"require('matrix').fennel().dofile([[{file}]])"]
    return [lua.program, file]


def make_room(homeserver: Homeserver, account: Account) -> str:
    room_id = homeserver.create_room(account, name="Tea room")
    homeserver.send(account, room_id, "m.room.message", {"msgtype": "m.text", "body": "is it hot?"})
    return room_id


def check_room_list(
    done: subprocess.CompletedProcess[str], homeserver: Homeserver, account: Account, room_id: str
) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tea room" in done.stdout
    assert f"logged in as {account.user_id}\n" in done.stdout
    assert "\nsent $" in done.stdout
    assert room_id in done.stdout
    assert f"{account.user_id}: is it hot?" in done.stdout
    path = f"/_matrix/client/v3/rooms/{room_id}/messages?dir=b&limit=1"
    last = homeserver.request("GET", path, account.token)["chunk"][0]
    assert last["content"]["body"] == "very hot"


def test_room_list_in_c(
    compile_example: Callable[[str], Path], homeserver: Homeserver, account: Account
) -> None:
    room_id = make_room(homeserver, account)
    env = variables(homeserver, account, MATRIX_ROOM=room_id, MATRIX_SEND="very hot")
    done = run([compile_example("room_list")], {**os.environ, **env})
    check_room_list(done, homeserver, account, room_id)
    wrong = run([compile_example("room_list")], {**os.environ, **env, "MATRIX_PASSWORD": "no"})
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("room_list: M_FORBIDDEN: ")


@each_interpreter
@pytest.mark.parametrize("kind", ["lua", "fnl"])
def test_room_list(
    lua: Interpreter, kind: str, stage: Path, homeserver: Homeserver, account: Account
) -> None:
    room_id = make_room(homeserver, account)
    env = environment(stage, lua.abi) | variables(
        homeserver, account, MATRIX_ROOM=room_id, MATRIX_SEND="very hot"
    )
    command = lua_command(lua, EXAMPLES / f"room_list.{kind}")
    check_room_list(run(command, env), homeserver, account, room_id)
    wrong = run(command, {**env, "MATRIX_PASSWORD": "no"})
    assert (wrong.returncode, wrong.stdout) == (1, "")
    place = rf"room_list: \S+room_list\.{kind}:\d+: M_FORBIDDEN: "
    assert re.match(place, wrong.stderr), wrong.stderr


@pytest.mark.parametrize("kind", ["c", "lua", "fnl"])
def test_hello(
    kind: str,
    stage: Path,
    compile_example: Callable[[str], Path],
    homeserver: Homeserver,
    account: Account,
) -> None:
    room_id = make_room(homeserver, account)
    lua = INTERPRETERS[-2]
    env = environment(stage, lua.abi) | variables(homeserver, account, MATRIX_ROOM=room_id)
    if kind == "c":
        done = run([compile_example("hello")], env)
    else:
        done = run(lua_command(lua, EXAMPLES / f"hello.{kind}"), env)
    assert (done.returncode, done.stdout) == (0, "said hello\n"), done.stderr


@pytest.mark.parametrize("kind", ["c", "lua"])
def test_frame_loop(
    kind: str,
    stage: Path,
    compile_example: Callable[[str], Path],
    homeserver: Homeserver,
    account: Account,
) -> None:
    other = homeserver.account()
    room_id = homeserver.create_room(account, preset="public_chat")
    homeserver.join(other, room_id)
    homeserver.send(other, room_id, "m.room.message", {"msgtype": "m.text", "body": "jump!"})
    lua = INTERPRETERS[1]
    env = environment(stage, lua.abi) | variables(homeserver, account, MATRIX_FRAMES="300")
    file = EXAMPLES / f"frame_loop.{kind}"
    done = run([compile_example("frame_loop")] if kind == "c" else lua_command(lua, file), env)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{other.user_id}: jump!\n" in done.stdout
