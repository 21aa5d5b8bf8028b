"""Packs the library once, and unpacks it where no Python is."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.package import empty_root
from tests.package.places import BUILD, CACHE, FOLDER, ROOM_NAME, Installed, Member, Packages, run
from tests.support.homeserver import Homeserver, homeserver


def _newest(folder: Path) -> float:
    return max(path.lstat().st_mtime for path in folder.rglob("*") if path.is_file())


def _find() -> Packages | None:
    archives = sorted(BUILD.glob("packages/*.tar.gz"))
    debs = sorted(BUILD.glob("packages/*.deb"))
    if len(archives) != 1 or len(debs) != 1:
        return None
    made = min(archives[0].stat().st_mtime, debs[0].stat().st_mtime)
    return Packages(archives[0], debs[0]) if made > _newest(BUILD / "lib") else None


@pytest.fixture(scope="session")
def packages() -> Packages:
    """The TGZ and the .deb of build/release, packed anew when that has changed."""
    assert (BUILD / "CPackConfig.cmake").exists(), f"{BUILD}: not built; run make"
    with (BUILD / "packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (found := _find()) is None:
            for old in BUILD.glob("packages/*.*"):
                old.unlink()
            run("cmake", "--build", BUILD)
            run("cpack", "-G", "TGZ;DEB", cwd=BUILD)
            found = _find()
    assert found, "cpack made no packages"
    return found


@pytest.fixture(scope="session")
def archive() -> Path:
    """The empty root, as an archive."""
    with (CACHE / "empty-root.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return empty_root.make(CACHE)


@pytest.fixture(scope="session")
def unpacked(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TGZ on this machine, at a path with spaces."""
    folder = tmp_path_factory.mktemp("an unpacked archive")
    run("tar", "-xf", packages.tgz, "-C", folder)
    (prefix,) = folder.iterdir()
    return prefix


@pytest.fixture
def installed(unpacked: Path, archive: Path, tmp_path: Path) -> Installed:
    """The TGZ inside an empty root, at a path with spaces."""
    root = empty_root.unpack(archive, tmp_path / "root")
    prefix = root / FOLDER / "libmatrix"
    prefix.parent.mkdir(parents=True)
    run("cp", "-a", unpacked, prefix)
    return Installed(root, prefix)


@pytest.fixture(scope="session")
def server() -> Iterator[Homeserver]:
    """A real homeserver, on loopback."""
    with homeserver() as running:
        yield running


@pytest.fixture
def member(server: Homeserver) -> Member:
    """A new user in a room of its own."""
    account = server.account()
    return Member(server, account, server.create_room(account, name=ROOM_NAME))
