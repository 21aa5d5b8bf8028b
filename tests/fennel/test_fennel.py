"""The Fennel layer, compiled by the bundle's own compiler, through every interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lua.interpreters import INTERPRETERS, Interpreter
from tests.support.homeserver import Homeserver
from tests.support.scenario import play, two_users

each_interpreter = pytest.mark.parametrize("lua", INTERPRETERS, ids=lambda lua: lua.name)


@each_interpreter
def test_offline(lua: Interpreter, stage: Path) -> None:
    play(lua, stage, "fennel/offline.fnl")


@each_interpreter
@pytest.mark.homeserver
def test_session_with_a_homeserver(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    play(lua, stage, "fennel/session.fnl", two_users(homeserver))


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
