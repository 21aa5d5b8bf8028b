"""The commands that pages show: they run, with the paths of this machine for those of the page."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import PAGES, ROOT, commands, listings

# Each listing has one of these. What installs packages is tried by tests/package.
TRIED = {
    "README": ("make ", "sudo apt install", "tar -C /opt"),
    "contributing": ("make ", "python3 -m ffi.gen"),
    "fennel": ("lua -e", "fennel --add-macro-path"),
    "lua": ("export LUA_CPATH",),
    "packaging": ("libmatrix-config", "luarocks"),
    "testing": ("-m pytest",),
}
# Uses a macro, to find that they are found.
BOT = """
(import-macros {: run} :matrix.macros)
(local matrix (require :matrix))
(run (print (. (matrix.version) :version)))
"""
# As the program `fennel`, which distributions make of the same file.
FENNEL = """
local paths = {}
assert(table.remove(arg, 1) == "--add-macro-path")
local fennel = dofile(os.getenv "COMPILER")
fennel["macro-path"] = table.remove(arg, 1) .. ";" .. fennel["macro-path"]
fennel.dofile(arg[1])
"""


def shell(text: str, folder: Path, **env: str) -> str:
    """Runs it in a folder, whose programs come before the machine's."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where Lua is called `lua`, and there is a bot."""
    lua = shutil.which("lua5.4")
    assert lua
    (tmp_path / "lua").symlink_to(lua)
    (tmp_path / "bot.fnl").write_text(BOT)
    return tmp_path


def test_all_commands_are_tried() -> None:
    for page in PAGES:
        for text in listings(page, "sh"):
            assert any(part in text for part in TRIED.get(page, ())), f"{page}: {text}"


def test_the_path_of_modules(stage: Path, folder: Path) -> None:
    export = commands("lua", "export LUA_CPATH", prefix=stage)
    text = "lua -e 'print(require(\"matrix\").version().version)'"
    assert shell(export + text, folder) == "0.1.0\n"


def test_fennel_of_the_bundle(stage: Path, folder: Path) -> None:
    path = str(stage / "lib" / "lua" / "5.4" / "?.so")
    assert shell(commands("fennel", "lua -e"), folder, LUA_CPATH=path) == "0.1.0\n"


def test_fennel_of_the_host(stage: Path, folder: Path) -> None:
    program(folder / "fennel", f"#!{folder / 'lua'}\n{FENNEL}")
    text = commands("fennel", "fennel --add", prefix=stage)
    path = str(stage / "lib" / "lua" / "5.4" / "?.so")
    compiler = str(stage / "lib" / "libmatrix" / "fennel" / "fennel.lua")
    assert shell(text, folder, LUA_CPATH=path, COMPILER=compiler) == "0.1.0\n"


def test_the_generator(tmp_path: Path) -> None:
    """In a copy, which it may write into."""
    copy = tmp_path / "project"
    ignored = shutil.ignore_patterns("build", ".git", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignored)
    program(copy / "python3", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    generated = copy / "src" / "libmatrix" / "table_gen.py"
    before = generated.read_text()
    generated.write_text("")
    shell(commands("contributing", "ffi.gen --check  "), copy)
    assert generated.read_text() == before


@pytest.mark.parametrize("page", ["README", "contributing"])
def test_the_targets_of_make(page: str) -> None:
    lines = [line for text in listings(page, "sh") for line in text.splitlines()]
    made = [re.split("&&|#", line)[0] for line in lines if line.startswith("make ")]
    assert made
    for line in made:
        shell(line.replace("make ", "make -n ", 1), ROOT)


def test_all_that_must_hold() -> None:
    [script] = re.findall(r"^(\.ci/\w+)", commands("contributing", ".ci/"), re.MULTILINE)
    assert os.access(ROOT / script, os.X_OK)


def test_some_tests_by_hand(tmp_path: Path) -> None:
    """Each command finds tests."""
    for line in commands("testing", "-m pytest").splitlines():
        text = line.replace("build/venv/bin/python", shlex.quote(sys.executable))
        found = shell(f"{text} -p no:xdist --collect-only -q".replace("-n 2", ""), ROOT)
        assert "::" in found
