"""What is in the packages, and what the files in them ask of the machine."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.package.places import ROOT, Packages, run

pytestmark = pytest.mark.package

MIB = 1024 * 1024
SYSTEM = re.compile(
    r"(lib(c|m|dl|pthread|rt|util|resolv|gcc_s)\.so\.\d+|(ld-linux|linux-vdso)\S+)$"
)


def shared_objects(prefix: Path) -> list[Path]:
    """All ELF files of a tree."""
    files = (path for path in prefix.rglob("*.so*") if path.is_file() and not path.is_symlink())
    return [path for path in files if path.read_bytes()[:4] == b"\x7fELF"]


def dynamic(path: Path) -> dict[str, list[str]]:
    """NEEDED, SONAME, RPATH and RUNPATH as readelf tells them."""
    found: dict[str, list[str]] = {"NEEDED": [], "SONAME": [], "RPATH": [], "RUNPATH": []}
    for kind, value in re.findall(r"\((\w+)\).*\[(.*)\]", run("readelf", "--dynamic", path)):
        found.setdefault(kind, []).append(value)
    return found


def test_the_archive_is_small(packages: Packages) -> None:
    assert packages.tgz.stat().st_size < 30 * MIB


def test_every_runpath_is_relative_and_none_is_an_rpath(unpacked: Path) -> None:
    files = shared_objects(unpacked)
    assert len(files) > 50
    for path in files:
        entries = dynamic(path)
        assert not entries["RPATH"], path
        assert all(entry.startswith("$ORIGIN") for entry in entries["RUNPATH"]), path


def test_every_library_that_is_needed_has_a_private_name(unpacked: Path) -> None:
    for path in shared_objects(unpacked):
        for name in dynamic(path)["NEEDED"]:
            assert SYSTEM.match(name) or name.startswith("libmatrix"), f"{path} needs {name}"


def test_private_libraries_are_named_as_their_files(unpacked: Path) -> None:
    libraries = sorted((unpacked / "lib/libmatrix/lib").iterdir())
    assert any("python" in path.name for path in libraries)
    for path in libraries:
        assert path.name.startswith("libmatrix-")
        assert dynamic(path)["SONAME"] == [path.name]


def test_the_loader_finds_nothing_of_the_machine_but_the_c_library(unpacked: Path) -> None:
    for path in shared_objects(unpacked):
        for line in run("ldd", path).splitlines():
            match = re.match(r"\s*(\S+) => (.*?)( \(0x\w+\))?$", line)
            if match and not SYSTEM.match(match[1]):
                assert match[2].startswith(str(unpacked)), f"{path}: {line}"


def test_libmatrix_itself_needs_no_python(unpacked: Path) -> None:
    (library,) = unpacked.glob("lib/libmatrix.so.*.*.*")
    assert all(SYSTEM.match(name) for name in dynamic(library)["NEEDED"])
    assert dynamic(library)["SONAME"] == ["libmatrix.so.0"]


def exports(path: Path) -> list[str]:
    """Names of the dynamic symbols a library defines."""
    return [line.split()[-1] for line in run("nm", "-D", "--defined-only", path).splitlines()]


def test_libraries_export_only_what_is_ours(unpacked: Path) -> None:
    assert all(name.startswith("matrix_") for name in exports(unpacked / "lib/libmatrix.so"))
    assert exports(unpacked / "lib/libmatrix/bridge.so") == ["matrix_bridge_main"]
    modules = sorted(unpacked.glob("lib/lua/*/matrix.so"))
    assert {path.parent.name for path in modules} >= {"5.1", "5.2", "5.3", "5.4", "5.5"}
    for module in modules:
        assert exports(module) == ["luaopen_matrix"]


def test_our_libraries_stay_mapped(unpacked: Path) -> None:
    ours = [unpacked / "lib/libmatrix.so", unpacked / "lib/libmatrix/bridge.so"]
    for path in [*ours, *unpacked.glob("lib/lua/*/matrix.so")]:
        assert "NODELETE" in run("readelf", "--dynamic", path), path


def test_no_python_source_and_no_test_is_carried(unpacked: Path) -> None:
    home = unpacked / "lib/libmatrix/python"
    assert not list(home.rglob("*.py"))
    folders = {path.name for path in home.rglob("*") if path.is_dir()}
    assert not folders & {"__pycache__", "test", "tests", "idlelib", "tkinter", "ensurepip"}


def test_no_path_of_the_build_is_in_a_text_or_a_compiled_module(unpacked: Path) -> None:
    texts = [*unpacked.glob("lib/pkgconfig/*"), *unpacked.glob("lib/cmake/matrix/*")]
    texts += [*unpacked.rglob("*.pyc"), *unpacked.rglob("*.json"), *unpacked.rglob("METADATA")]
    for path in texts:
        data = path.read_bytes()
        assert str(ROOT).encode() not in data, path
        assert sys.base_prefix == "/usr" or sys.base_prefix.encode() not in data, path


def test_everything_carried_has_its_licence(unpacked: Path) -> None:
    documents = unpacked / "share/doc/libmatrix"
    notice = (documents / "NOTICE").read_text()
    assert "Apache License" in (documents / "LICENSE").read_text()
    texts = {path.name for path in (documents / "licenses").iterdir()}
    assert {"yyjson", "fennel"} <= texts
    for path in (unpacked / "lib/libmatrix/lib").iterdir():
        assert "python" in path.name or (path.name in texts and path.name in notice), path.name
    for path in (unpacked / "lib/libmatrix/python/site").glob("*.dist-info"):
        fields = dict(line.split(": ", 1) for line in (path / "METADATA").read_text().splitlines())
        name = f"{fields['Name']}-{fields['Version']}"
        assert name in texts, name
        assert any(file.is_file() for file in (documents / "licenses" / name).rglob("*")), name
        assert f"{fields['Name']} {fields['Version']}" in notice


def test_the_pages_and_the_examples_go_with_it(unpacked: Path) -> None:
    documents = unpacked / "share/doc/libmatrix"
    for page in ("README.md", "docs/lua.md", "docs/reference/index.gen.md", "examples/README.md"):
        assert (documents / page).read_text() == (ROOT / page).read_text()
    for example in ("hello.c", "love/main.lua", "love/conf.lua", "neovim/plugin/matrix.lua"):
        assert (documents / "examples" / example).is_file(), example


def test_the_links_of_the_pages_lead_somewhere(unpacked: Path) -> None:
    pages = list((unpacked / "share/doc/libmatrix").rglob("*.md"))
    assert len(pages) > 30
    for page in pages:
        prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", prose):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_deb_depends_on_the_c_library_alone(packages: Packages) -> None:
    depends = run("dpkg-deb", "--field", packages.deb, "Depends")
    names = {entry.split()[0] for entry in depends.split(",")}
    assert "libc6" in names
    assert names <= {"libc6", "libgcc-s1"}
    assert "lua5.4" in run("dpkg-deb", "--field", packages.deb, "Suggests")


def test_the_deb_says_who_made_it_and_what_links_with_it(
    packages: Packages, tmp_path: Path
) -> None:
    version = run("dpkg-deb", "--field", packages.deb, "Version").strip()
    maintainer = run("dpkg-deb", "--field", packages.deb, "Maintainer")
    assert maintainer.strip() and "example" not in maintainer
    run("dpkg-deb", "--control", packages.deb, tmp_path / "control")
    shlibs = (tmp_path / "control/shlibs").read_text()
    assert shlibs == f"libmatrix {version.split('.')[0]} libmatrix (>= {version})\n"
    run("dpkg-deb", "--extract", packages.deb, tmp_path / "root")
    with gzip.open(tmp_path / "root/usr/share/doc/libmatrix/changelog.gz", "rt") as changelog:
        assert changelog.readline().startswith(f"libmatrix ({version}) ")


def test_the_bundler_finds_a_foreign_library(unpacked: Path, tmp_path: Path) -> None:
    """The check that guards every build must fail when a library is missing."""
    broken = tmp_path / "broken"
    run("cp", "-a", unpacked, broken)
    next(broken.glob("lib/libmatrix/lib/libmatrix-ssl.*")).unlink()
    done = subprocess.run(
        [sys.executable, "-B", ROOT / "packaging/bundle", "verify", "--root", broken],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "_ssl" in done.stderr
    assert "libmatrix-ssl" in done.stderr
