"""The commands with which pages install the library: they run, into a folder of the test's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.package.places import ROOT, Member, Packages, run
from tests.support.pages import commands

pytestmark = [pytest.mark.package, pytest.mark.homeserver]

# Unpacks where the real one would install, as nobody but root may.
SUDO = """#!/bin/sh
test "$1 $2" = "apt install" && exec dpkg -x "$3" "$INSTALLED"
"""


@pytest.fixture
def folder(packages: Packages, tmp_path: Path) -> Path:
    """A folder with the examples, and the packages where `make package` puts them."""
    for suffix in ("c", "lua"):
        shutil.copy(ROOT / "examples" / f"hello.{suffix}", tmp_path)
    made = tmp_path / "build" / "release" / "packages"
    made.mkdir(parents=True)
    for package in (packages.tgz, packages.deb):
        (made / package.name).symlink_to(package)
    return tmp_path


def hello(folder: Path, text: str, member: Member, **env: str) -> None:
    """Runs the commands, the last of which is the example in Lua; then the example in C."""
    given = {"PATH": f"{folder}:/usr/bin:/bin", "MATRIX_ROOM": member.room_id, **env}
    given |= member.environment()
    said = run("bash", "-euo", "pipefail", "-c", f"{text}\n./hello", cwd=folder, env=given)
    assert said == "said hello\n" * 2


def test_the_archive(folder: Path, member: Member) -> None:
    (folder / "opt").mkdir()
    text = commands("README", "tar -C /opt", prefix=folder / "opt/libmatrix")
    text = text.replace("-C /opt", "-C opt")
    hello(folder, text, member)


def test_the_debian_package(folder: Path, member: Member) -> None:
    sudo, root = folder / "sudo", folder / "root"
    sudo.write_text(SUDO)
    sudo.chmod(0o755)
    triple = run("cc", "-print-multiarch").strip()
    libraries = root / "usr" / "lib" / triple
    hello(
        folder,
        commands("README", "sudo apt install"),
        member,
        INSTALLED=str(root),
        PKG_CONFIG_PATH=str(libraries / "pkgconfig"),
        LUA_CPATH=str(libraries / "lua" / "5.4" / "?.so"),
        LD_LIBRARY_PATH=str(libraries),
    )
