"""Puts the runtime together: libpython, standard library, packages, and the libraries they need."""

from __future__ import annotations

import json
import shutil
import sysconfig
import tempfile
from pathlib import Path

import bytecode
import packages
import trim
from interpreter import Interpreter
from libraries import Libraries, add_python, adopt_modules

# All that sysconfig is asked at run time; the interpreter's own table is full of the build's paths.
TIME_ZONES = "/usr/share/zoneinfo:/usr/lib/zoneinfo:/usr/share/lib/zoneinfo:/etc/zoneinfo"


def _stdlib(python: Interpreter, folder: Path) -> None:
    bytecode.copy_tree(python.stdlib, folder, trim.drop_stdlib, bytecode.FOREIGN)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "variables.py")
        source.write_text(f"build_time_vars = {{'TZPATH': {TIME_ZONES!r}}}\n", encoding="utf-8")
        name = sysconfig._get_sysconfigdata_name()  # type: ignore[attr-defined]
        bytecode.compile_file(source, folder / f"{name}.pyc", f"{name}.py", bytecode.FOREIGN)


def _dynload(python: Interpreter, folder: Path) -> None:
    folder.mkdir(parents=True)
    for module in sorted(python.dynload.glob("*.so")):
        if not trim.drop_dynload(module.name):
            shutil.copyfile(module, folder / module.name)


def collect(python: Interpreter, root: Path, lock: Path, installed: Path) -> Libraries:
    """Makes `lib/libmatrix/{lib,python}` under root from nothing, and bundle.json to tell of it."""
    home = root / "lib/libmatrix"
    for old in (home / "lib", home / "python"):
        shutil.rmtree(old, ignore_errors=True)
    packages.install(lock, installed)
    folders = {name: home / "python" / name for name in ("stdlib", "dynload", "site")}
    _stdlib(python, folders["stdlib"])
    _dynload(python, folders["dynload"])
    packages.collect(installed, folders["site"])
    libraries = Libraries(home / "lib")
    name = add_python(libraries, python)
    adopt_modules(libraries, folders["dynload"], python.dynload)
    adopt_modules(libraries, folders["site"], installed)
    manifest = {"python": python.version, "library": name, "libraries": sorted(libraries.sources)}
    (home / "bundle.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return libraries
