"""The build embeds whichever Python it is told to: the distribution's, or a newer one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.package.places import ROOT, run

pytestmark = pytest.mark.package

NAMES = ("python3.11", "python3.12", "python3.13", "python3.14")


def _version(python: Path) -> str | None:
    """The full version of an interpreter that can be embedded."""
    command = [str(python), "-B", str(ROOT / "packaging/bundle"), "facts"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout)["version"] if done.returncode == 0 else None


def _interpreters() -> dict[str, Path]:
    """The distribution's Python, and the newest that is installed beside the one in use."""
    home = Path(sys.base_prefix).parent
    found: dict[str, Path] = {}
    for name in reversed(NAMES):
        for python in (*sorted(home.glob(f"*/bin/{name}"), reverse=True), Path("/usr/bin", name)):
            if found and python.parent != Path("/usr/bin"):
                continue
            if python.exists() and (version := _version(python)):
                found.setdefault(version, python)
    return found


@pytest.mark.parametrize(("version", "python"), _interpreters().items())
def test_the_named_python_is_embedded(version: str, python: Path, tmp_path: Path) -> None:
    options = ["-DMATRIX_LUA_VERSIONS=5.4", "-DMATRIX_EXAMPLES=OFF", f"-DMATRIX_PYTHON={python}"]
    told = run("cmake", "-S", ROOT, "-B", tmp_path / "build", "-G", "Ninja", *options)
    assert f"Embedded Python: {version} " in told
    run("cmake", "--build", tmp_path / "build")
    run("cmake", "--install", tmp_path / "build", "--prefix", tmp_path / "stage")
    script = (
        "local matrix = require('matrix') assert(matrix.wait_ready(20000)) "
        "print(matrix.version().python)"
    )
    env = {"LUA_CPATH": str(tmp_path / "stage/lib/lua/5.4/?.so")}
    assert run("lua5.4", "-e", script, env=env).strip() == version
