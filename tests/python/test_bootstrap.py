"""The set-up program: what it reads from a machine, what it refuses, what it leaves alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "packaging" / "bootstrap"
MODULES = (
    "common",
    "distribution",
    "fennel_package",
    "system",
    "archives",
    "yyjson_sources",
    "environments",
    "foreign",
)

STANZAS = """\
# a comment
Types: deb
URIs: http://first.example/debian
Suites: trixie
Components: main
Enabled: no

Types: deb deb-src
URIs: http://second.example/ubuntu http://third.example/ubuntu
Suites: noble noble-updates
Components: main restricted universe
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----
"""
LINES = """\
# deb http://old.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb http://security.example/debian bookworm-security main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] http://mirror.example/debian bookworm main
"""


@pytest.fixture
def bootstrap(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """Its modules, which are not a package, for one test."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    modules = {name: __import__(name) for name in MODULES}
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name)
    return modules


def test_mirror_of_stanzas(bootstrap: dict[str, ModuleType]) -> None:
    distribution = bootstrap["distribution"]
    mirror = distribution._from_stanzas(STANZAS, "noble")
    assert (mirror.uri, mirror.components) == ("http://second.example/ubuntu", "main universe")
    assert mirror.signed_by.splitlines()[1:] == [
        " -----BEGIN PGP PUBLIC KEY BLOCK-----",
        " .",
        " -----END PGP PUBLIC KEY BLOCK-----",
    ]
    assert distribution._from_stanzas(STANZAS, "trixie") is None


def test_mirror_of_lines(bootstrap: dict[str, ModuleType]) -> None:
    mirror = bootstrap["distribution"]._from_lines(LINES, "bookworm")
    assert (mirror.uri, mirror.components, mirror.signed_by) == (
        "http://mirror.example/debian",
        "main",
        "/usr/share/keyrings/x.gpg",
    )


def test_unknown_fennel_is_refused(
    bootstrap: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def get(folder: Path) -> bool:
        package = folder / "usr/share/lua/5.4"
        package.mkdir(parents=True)
        (package / "fennel.lua").write_text("os.execute('reboot')")
        return True

    fennel = bootstrap["fennel_package"]
    monkeypatch.setattr(fennel, "_ways", lambda: [("a bad place", get)])
    with pytest.raises(bootstrap["common"].SetupError, match=r"refused: fennel\.lua"):
        fennel._fetch(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_package_is_named(
    bootstrap: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APT", "0")
    with pytest.raises(bootstrap["common"].SetupError, match="for flying: wings"):
        bootstrap["system"]._need("flying", {"gcc": "sh", "wings": "no-such-program"})


def test_changed_source_is_fetched_again(bootstrap: dict[str, ModuleType], tmp_path: Path) -> None:
    fetch = bootstrap["yyjson_sources"].fetch
    fetch(tmp_path)
    genuine = (tmp_path / "yyjson.c").read_bytes()
    (tmp_path / "yyjson.c").write_text("int yyjson;")
    fetch(tmp_path)
    assert (tmp_path / "yyjson.c").read_bytes() == genuine
    assert (tmp_path / "LICENSE").read_text().startswith("MIT License")


def test_archive_of_another_hash_is_refused(
    bootstrap: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    archives = bootstrap["archives"]
    pinned = (ROOT / "packaging/locks/sources.txt").read_text()
    text = pinned.replace(archives._pinned("yyjson")[1], "0" * 64)
    (tmp_path / "sources.txt").write_text(text)
    monkeypatch.setattr(archives, "LOCKS", tmp_path)
    monkeypatch.setattr(archives, "CACHE", tmp_path / "cache")
    with pytest.raises(bootstrap["common"].SetupError):
        archives.fetch("yyjson")


def test_locks_name_no_host() -> None:
    locks = [*(ROOT / "packaging/locks").iterdir(), ROOT / "tests/foreign/package-lock.json"]
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text and "file:" not in text, lock.name


def test_lock_of_node_packages_with_hosts_is_refused(
    bootstrap: dict[str, ModuleType], tmp_path: Path
) -> None:
    lock = tmp_path / "package-lock.json"
    lock.write_text('{"packages": {"node_modules/x": {"resolved": "https://x"}}}')
    with pytest.raises(bootstrap["common"].SetupError, match="names hosts"):
        bootstrap["foreign"]._check_lock(lock)


@pytest.mark.parametrize("version, major", [("v20.1.0", 20), ("v9.0.0", 9), ("unknown", 0)])
def test_version_of_node(
    bootstrap: dict[str, ModuleType], tmp_path: Path, version: str, major: int
) -> None:
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\necho {version}\n")
    node.chmod(0o755)
    assert bootstrap["foreign"]._major(str(node)) == major
    assert bootstrap["foreign"]._major(str(tmp_path / "none")) == 0


def test_unknown_step_is_an_error() -> None:
    command = [sys.executable, "-B", str(FOLDER), "fly"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "invalid choice: 'fly'" in done.stderr
