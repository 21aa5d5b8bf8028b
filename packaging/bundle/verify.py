"""Checks an install tree: every file it loads is its own, and every module in it imports."""

from __future__ import annotations

import os
import re
from pathlib import Path

import elf
from errors import BundleError

PRIVATE = re.compile(r"libmatrix(-.+)?\.so(\.\d+)*$")


def _inside(path: Path, root: Path) -> bool:
    return Path(os.path.normpath(path)).is_relative_to(root)


def _check_paths(file: Path, dynamic: elf.Dynamic, root: Path) -> list[str]:
    faults = [f"has RPATH {entry}" for entry in dynamic.rpath]
    for entry in dynamic.runpath:
        if not entry.startswith("$ORIGIN"):
            faults.append(f"has RUNPATH {entry}, not $ORIGIN")
        elif not _inside(Path(entry.replace("$ORIGIN", str(file.parent))), root):
            faults.append(f"has RUNPATH {entry}, which leaves the bundle")
    return faults


def _finds(file: Path, dynamic: elf.Dynamic, name: str) -> bool:
    folders = [Path(entry.replace("$ORIGIN", str(file.parent))) for entry in dynamic.runpath]
    return any((folder / name).exists() for folder in folders)


def check_file(file: Path, root: Path) -> list[str]:
    """What is wrong with the dynamic section of one file."""
    dynamic = elf.read_dynamic(file)
    faults = _check_paths(file, dynamic, root)
    for name in dynamic.needed:
        if elf.SYSTEM_LIBRARIES.match(name):
            continue
        if not PRIVATE.match(name):
            faults.append(f"needs {name}, which is not a private name")
        elif not _finds(file, dynamic, name):
            faults.append(f"needs {name}, which its RUNPATH does not reach")
    private = file.parent.name == "lib" and file.parent.parent.name == "libmatrix"
    if private and (dynamic.soname != file.name or not PRIVATE.match(file.name)):
        faults.append(f"has SONAME {dynamic.soname}, which must be private and the file's name")
    for name, found in elf.resolve(file).items():
        if not elf.SYSTEM_LIBRARIES.match(name) and not _inside(found, root):
            faults.append(f"is given {found} for {name}")
    return faults


def _glibc(file: Path) -> tuple[int, int]:
    versions = re.findall(rb"GLIBC_(\d+)\.(\d+)", file.read_bytes())
    return max(((int(major), int(minor)) for major, minor in versions), default=(0, 0))


def check_tree(root: Path) -> None:
    """Checks all ELF files and file names of an install tree; raises with all faults."""
    root = root.resolve()
    faults, newest = [], ((0, 0), root)
    for file in elf.elf_files(root / "lib"):
        faults += [f"{file.relative_to(root)} {fault}" for fault in check_file(file, root)]
        newest = max(newest, (_glibc(file), file))
    for file in sorted((root / "lib/libmatrix/python").rglob("*.py")):
        faults.append(f"{file.relative_to(root)} is a source file")
    if faults:
        raise BundleError("the bundle is not self-contained:\n  " + "\n  ".join(faults))
    name = newest[1].relative_to(root)
    print(f"bundle: needs glibc {'.'.join(map(str, newest[0]))} ({name})")


def check_imports(root: Path, probe: Path) -> None:
    """Boots the bundled Python alone and imports every module of the bundle."""
    home = root.resolve() / "lib/libmatrix"
    script = Path(__file__).with_name("import_all.py")
    environment = ["env", "-i", f"PATH={os.defpath}"]
    print(elf.run([*environment, str(probe), str(home), str(script)]).strip())
