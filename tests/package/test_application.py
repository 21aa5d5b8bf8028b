"""A program of somebody else that carries the library by matrix_bundle()."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.package import empty_root
from tests.package.places import FOLDER, ROOT, Member, run
from tests.package.test_contents import dynamic

pytestmark = [pytest.mark.package, pytest.mark.homeserver]


@pytest.fixture(scope="module")
def application(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build folder of the example application, with its archive."""
    build = tmp_path_factory.mktemp("an application")
    source = ROOT / "packaging/package_app"
    run("cmake", "-S", source, "-B", build, f"-Dmatrix_ROOT={unpacked}")
    run("cmake", "--build", build)
    run("cpack", cwd=build)
    return build


def test_it_runs_in_its_build_folder(application: Path, member: Member) -> None:
    program = application / "room_list"
    assert dynamic(program)["RUNPATH"] == ["$ORIGIN/lib"]
    done = subprocess.run(
        [program], env=member.environment(), capture_output=True, text=True, check=False
    )
    member.check(done)


def test_its_archive_runs_where_no_python_is(
    application: Path, archive: Path, member: Member, tmp_path: Path
) -> None:
    root = empty_root.unpack(archive, tmp_path / "root")
    (root / FOLDER).mkdir(parents=True)
    run("tar", "-xf", application / "room_list.tar.gz", "-C", root / FOLDER)
    assert dynamic(root / FOLDER / "room_list/room_list")["RUNPATH"] == ["$ORIGIN/lib"]
    inside, environment = f"/{FOLDER}/room_list", member.environment()
    member.check(empty_root.run(root, f"{inside}/room_list", env=environment))
    lua = empty_root.run(root, "/usr/bin/lua5.4", f"{inside}/rooms.lua", env=environment)
    member.check(lua)


def test_the_licences_go_with_it(application: Path) -> None:
    with tarfile.open(application / "room_list.tar.gz") as tar:
        names = tar.getnames()
    assert "room_list/lib/libmatrix/doc/LICENSE" in names
    assert "room_list/lib/libmatrix/doc/NOTICE" in names
    assert any(name.startswith("room_list/lib/libmatrix/doc/licenses/") for name in names)
    assert "room_list/lib/libmatrix/fennel/fennel.lua" in names
