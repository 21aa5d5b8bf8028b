"""The program that makes the bundle says what is wrong, and how to put it right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.package.places import ROOT

pytestmark = pytest.mark.package

BUNDLER = ROOT / "packaging/bundle"
START = "import runpy, sys; sys.argv = ['bundle', 'facts']; runpy.run_path({!r}, None, '__main__')"


def facts(change: str) -> subprocess.CompletedProcess[str]:
    """Asks for the facts of this interpreter with something changed before."""
    command = [sys.executable, "-B", "-c", f"{change}\n{START.format(str(BUNDLER))}"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def with_variable(name: str, value: object) -> str:
    """Code that changes one of the interpreter's build variables."""
    return (
        "import sysconfig; given = sysconfig.get_config_var\n"
        f"sysconfig.get_config_var = lambda n: {value!r} if n == {name!r} else given(n)"
    )


def test_a_static_python_is_refused_with_the_fix() -> None:
    done = facts(with_variable("Py_ENABLE_SHARED", 0))
    assert done.returncode == 1
    assert "has no shared libpython" in done.stderr
    assert "-DMATRIX_PYTHON=" in done.stderr
    assert "--enable-shared" in done.stderr


def test_a_missing_libpython_is_named(tmp_path: Path) -> None:
    done = facts(with_variable("INSTSONAME", "libpython0.0.so"))
    assert done.returncode == 1
    assert "libpython0.0.so" in done.stderr
    assert "package" in done.stderr


def test_an_old_python_is_refused() -> None:
    done = facts("import sys; sys.version_info = (3, 10, 0)")
    assert done.returncode == 1
    assert "3.11 or newer" in done.stderr


def test_missing_headers_are_named() -> None:
    change = "import sysconfig; given = sysconfig.get_paths()\n"
    done = facts(change + "sysconfig.get_paths = lambda: {**given, 'include': '/nowhere'}")
    assert done.returncode == 1
    assert "/nowhere/Python.h" in done.stderr


def test_a_wheel_that_is_not_locked_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("msgspec\n")
    command = [sys.executable, "-B", str(BUNDLER), "collect", "--root", str(tmp_path / "root")]
    command += ["--lock", str(lock), "--installed", str(tmp_path / "installed")]
    command += ["--notice", str(ROOT / "NOTICE")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "could not install" in done.stderr
