"""Copies every shared library the bundle needs, under private names."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import elf
from errors import BundleError
from interpreter import Interpreter, private_name


@dataclass
class Libraries:
    """The folder of private libraries, and where each came from."""

    folder: Path
    sources: dict[str, Path] = field(default_factory=dict)

    def add(self, source: Path, soname: str) -> str:
        """Copies a library and all it needs; returns its private name."""
        name = private_name(soname)
        if name in self.sources:
            return name
        self.sources[name] = source.resolve()
        target = self.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        elf.strip(target)
        elf.patch(target, "--set-soname", name)
        self.adopt(target, source)
        return name

    def adopt(self, target: Path, source: Path) -> None:
        """Makes one copied file load its libraries from the private folder only."""
        dynamic = elf.read_dynamic(target)
        arguments: list[str] = []
        found: dict[str, Path] | None = None
        for name in dynamic.needed:
            if elf.SYSTEM_LIBRARIES.match(name):
                continue
            found = elf.resolve(source) if found is None else found
            if name not in found:
                raise BundleError(f"{source} needs {name}, which is not installed")
            arguments += ["--replace-needed", name, self.add(found[name], name)]
        if arguments:
            # patchelf writes RUNPATH, never the older RPATH that would outrank the host's wishes.
            origin = "$ORIGIN"
            if target.parent != self.folder:
                origin += "/" + os.path.relpath(self.folder, target.parent)
            arguments += ["--set-rpath", origin]
        elif dynamic.rpath or dynamic.runpath:
            arguments += ["--remove-rpath"]
        if arguments:
            elf.patch(target, *arguments)


def add_python(libraries: Libraries, python: Interpreter) -> str:
    """Copies libpython; returns its private name."""
    soname = elf.read_dynamic(python.library).soname or python.library.name
    return libraries.add(python.library, soname)


def adopt_modules(libraries: Libraries, copied: Path, original: Path) -> None:
    """Strips and adopts all extension modules of a copied tree."""
    for target in elf.elf_files(copied):
        elf.strip(target)
        libraries.adopt(target, original / target.relative_to(copied))
