"""`pip install .`: the same library, inside a wheel."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.package.places import CACHE, ROOT, Member, run

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
