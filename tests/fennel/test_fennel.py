"""The Fennel layer, compiled by the bundle's own compiler, through every interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lua.interpreters import HERE as LUA
from tests.lua.interpreters import INTERPRETERS, Interpreter
from tests.lua.test_lua import two_users
from tests.support.homeserver import Homeserver

HERE = Path(__file__).parent

each_interpreter = pytest.mark.parametrize("lua", INTERPRETERS, ids=lambda lua: lua.name)


def run_spec(
    lua: Interpreter, stage: Path, spec: str, *more: str, env: dict[str, str] | None = None
) -> None:
    done = lua.run(stage, LUA / "run.lua", HERE / f"{spec}.fnl", *more, env=env)
    assert done.returncode == 0, f"{lua.name} {spec}: {done.returncode}\n{done.stdout}{done.stderr}"
    assert done.stderr == ""


@each_interpreter
def test_offline(lua: Interpreter, stage: Path) -> None:
    run_spec(lua, stage, "offline")


@each_interpreter
@pytest.mark.homeserver
def test_session_with_a_homeserver(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    run_spec(lua, stage, "session", env=two_users(homeserver))


@each_interpreter
def test_a_compiler_of_the_hosts_own_is_used(lua: Interpreter, stage: Path) -> None:
    compiler = stage / "lib" / "libmatrix" / "fennel" / "?.lua"
    code = """
        local fennel = require("fennel").install()
        local matrix = require("matrix")
        assert(matrix.fennel() == fennel)
        print(fennel.eval([[
            (import-macros {: run} :matrix.macros)
            (local matrix (require :matrix))
            (run (. (matrix.version) :version))]]))
    """
    done = lua.run(stage, "-e", code, env={"LUA_PATH": str(compiler)})
    assert (done.returncode, done.stdout) == (0, "0.1.0\n"), done.stderr
