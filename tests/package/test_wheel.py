"""`pip install .`: the same library, inside a wheel."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.package.places import CACHE, ROOT, Member, run
from tests.support.pages import commands, listing

pytestmark = pytest.mark.package


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with nothing but the wheel in it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    with (CACHE / "wheel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(*command, "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    assert "-py3-none-" in wheel.name
    venv.create(folder / "venv", with_pip=True)
    run(folder / "venv/bin/pip", "install", "--no-index", wheel)
    return folder / "venv"


def config(environment: Path, *options: str) -> str:
    """What libmatrix-config prints."""
    return run(environment / "bin/libmatrix-config", *options).strip()


def test_it_tells_where_its_parts_are(environment: Path) -> None:
    assert Path(config(environment, "--include-dir"), "matrix/matrix.h").exists()
    assert Path(config(environment, "--library")).exists()
    assert Path(config(environment, "--cmake-dir"), "matrixConfig.cmake").exists()
    assert Path(config(environment, "--pkgconfig-dir"), "matrix.pc").exists()
    assert config(environment, "--lua-cpath", "5.4").endswith("/lib/lua/5.4/?.so")


def test_an_unknown_lua_is_named(environment: Path) -> None:
    command = [str(environment / "bin/libmatrix-config"), "--lua-cpath", "4.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "5.4" in done.stderr


def test_what_the_page_shows(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "bot.lua").write_text('print(require("matrix").version().version)')
    (tmp_path / "main.c").write_text("int main(void) { return 0; }")
    project = "cmake_minimum_required(VERSION 3.25)\nproject(bot LANGUAGES C)\n"
    text = project + listing("packaging", "cmake", "matrix_bundle(bot")
    (tmp_path / "CMakeLists.txt").write_text(text)
    path = f"{environment / 'bin'}:{Path(sys.executable).parent}:/usr/bin:/bin"
    shown = f"set -eu\n{commands('packaging', 'libmatrix-config')}"
    said = run("sh", "-c", shown, cwd=tmp_path, env={"PATH": path})
    assert said.startswith("0.1.0\n")
    run("cmake", "--build", "build", cwd=tmp_path)
    assert (tmp_path / "build" / "lib" / "libmatrix.so.0").exists()


@pytest.mark.homeserver
def test_a_lua_program_runs_with_it(environment: Path, member: Member) -> None:
    cpath = config(environment, "--lua-cpath", "5.4")
    done = subprocess.run(
        ["lua5.4", ROOT / "examples/room_list.lua"],
        env={"LUA_CPATH": cpath, "PATH": "/usr/bin:/bin", **member.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    member.check(done)
