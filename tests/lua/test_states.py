"""More than one lua_State in a process: in turn, side by side, in threads, short of memory."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lua.interpreters import HERE, INTERPRETERS, ROOT, Interpreter

Build = Callable[[str], Path]


@pytest.fixture(scope="session")
def states_module(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """`states_module(abi)` gives the folder with `states.so` for a Lua ABI."""
    folder = tmp_path_factory.mktemp("states")

    def build(abi: str) -> Path:
        module = folder / abi / "states.so"
        if not module.exists():
            module.parent.mkdir()
            command = ["cc", "-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
            command += ["-isystem", str(ROOT / "build" / "cache" / "lua" / abi)]
            command += [str(HERE / "c" / "states.c"), "-o", str(module), "-pthread"]
            subprocess.run(command, check=True, timeout=120)
        return module.parent

    return build


# LuaJIT 2.1 crashes by itself when its allocator fails, in plain Lua without any module.
CASES = [
    pytest.param(lua, case, id=f"{case}-{lua.name}")
    for lua in INTERPRETERS
    for case in ["again", "nested", "threads", "pending", "starve"]
    if (lua.name, case) != ("luajit", "starve")
]


@pytest.mark.parametrize(("lua", "case"), CASES)
def test_lua_states(lua: Interpreter, case: str, stage: Path, states_module: Build) -> None:
    paths = [stage / "lib" / "lua" / lua.abi, states_module(lua.abi)]
    env = {"LUA_CPATH": ";".join(f"{path}/?.so" for path in paths)}
    done = lua.run(stage, HERE / "states" / "states.lua", case, "400", env=env)
    assert (done.returncode, done.stdout[-3:]) == (0, "ok\n"), done.stdout + done.stderr
