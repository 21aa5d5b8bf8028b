"""The rock: the Lua module alone, built by LuaRocks against the unpacked archive."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.package.places import CACHE, ROOT, Member, run
from tests.support.pages import commands

pytestmark = pytest.mark.package

ROCKSPEC = "packaging/luarocks/libmatrix-scm-1.rockspec"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """What the rock is built of, apart: it writes beside its sources."""
    for folder in ("lua", "packaging"):
        shutil.copytree(ROOT / folder, tmp_path / "sources" / folder)
    return tmp_path / "sources"


def headers(version: str) -> str:
    """Those that the build has fetched: the machine's Lua may be without."""
    return f"LUA_INCDIR={CACHE / 'lua' / version}"


@pytest.mark.homeserver
@pytest.mark.parametrize("version", ["5.1", "5.4"])
def test_a_lua_program_runs_with_it(
    sources: Path, unpacked: Path, member: Member, tmp_path: Path, version: str
) -> None:
    prefix = tmp_path / "libmatrix"
    prefix.symlink_to(unpacked)  # LuaRocks passes no spaces on
    shown = commands("packaging", "luarocks", prefix=prefix)
    here = f"--lua-version {version} --tree {tmp_path / 'rocks'}"
    assert "--lua-version 5.4 " in shown
    text = shown.replace("--lua-version 5.4", here).rstrip()
    built = run("sh", "-c", f"{text} {headers(version)}", cwd=sources)
    assert f"-I{CACHE / 'lua' / version} " in built
    module = tmp_path / "rocks/lib/lua" / version / "matrix.so"
    assert module.is_file()
    environment = {"LUA_CPATH": f"{module.parent}/?.so", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [f"lua{version}", ROOT / "examples/room_list.lua"],
        env=environment | member.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    member.check(done)


def test_a_missing_library_is_named(sources: Path, tmp_path: Path) -> None:
    rocks = ("luarocks", "--lua-version", "5.4", "--tree", tmp_path / "rocks")
    with pytest.raises(AssertionError, match=r"matrix/matrix\.h"):
        run(*rocks, "make", ROCKSPEC, f"MATRIX_DIR={tmp_path}", headers("5.4"), cwd=sources)
