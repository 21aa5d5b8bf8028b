"""Runs the specs of tests/lua/spec through every interpreter, a process each."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.lua.interpreters import HERE, INTERPRETERS, ROOT, Interpreter, environment
from tests.support.homeserver import Homeserver
from tests.support.scenario import play, two_users

OFFLINE = ["values", "calls", "tasks", "dispatch", "unasked", "lifecycle"]

each_interpreter = pytest.mark.parametrize("lua", INTERPRETERS, ids=lambda lua: lua.name)


def test_every_spec_is_run() -> None:
    assert sorted([*OFFLINE, "session"]) == sorted(p.stem for p in (HERE / "spec").glob("*.lua"))


@each_interpreter
@pytest.mark.parametrize("spec", OFFLINE)
def test_spec(lua: Interpreter, stage: Path, spec: str) -> None:
    play(lua, stage, f"lua/spec/{spec}.lua")


@each_interpreter
@pytest.mark.parametrize("spec", OFFLINE)
def test_spec_while_garbage_is_collected_all_the_time(
    lua: Interpreter, stage: Path, spec: str
) -> None:
    play(lua, stage, f"lua/spec/{spec}.lua", {}, "greedy")


@each_interpreter
def test_interrupt_ends_a_wait(lua: Interpreter, stage: Path) -> None:
    code = """
        local matrix = require "matrix"
        local client = matrix.create_client { homeserver = "http://127.0.0.1:9" }
        matrix.run(function()
          client:ping()
          io.write("waiting\\n")
          io.flush()
          client:ping { delay_ms = 600000 }
        end)
    """
    process = subprocess.Popen(
        [lua.program, "-e", code],
        env=environment(stage, lua.abi),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, problem = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "interrupted!" in problem


def test_editors_know_everything_there_is(stage: Path) -> None:
    code = """
        local matrix = require "matrix"
        local client = matrix.create_client { homeserver = "http://127.0.0.1:9" }
        for name in pairs(matrix) do print("matrix." .. name) end
        for name in pairs(getmetatable(client).__index) do print("Client:" .. name) end
    """
    names = INTERPRETERS[0].run(stage, "-e", code).stdout.split()
    types = (ROOT / "lua" / "types" / "matrix.gen.lua").read_text()
    fields = {"matrix.null", "matrix._VERSION"}
    assert len(names) > 25
    assert [n for n in names if f"function {n}(" not in types and n not in fields] == []


def test_no_operation_hides_a_method_of_every_client() -> None:
    names = ["close", "subscribe", "pollfd", "events", "timeout"]
    chunk = ROOT / "lua" / "operations.gen.lua"
    code = f"""
        local list = dofile([[{chunk}]])
        for name in ("{" ".join(names)}"):gmatch("%S+") do
          assert(not list.operations[name], name)
        end
    """
    done = subprocess.run([INTERPRETERS[0].program, "-e", code], check=False, timeout=60)
    assert done.returncode == 0


@each_interpreter
@pytest.mark.homeserver
def test_session_with_a_homeserver(lua: Interpreter, stage: Path, homeserver: Homeserver) -> None:
    play(lua, stage, "lua/spec/session.lua", two_users(homeserver))
