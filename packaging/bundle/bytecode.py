"""Copies Python sources as .pyc files that are never checked against a source."""

from __future__ import annotations

import py_compile
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from errors import BundleError

# Assertions and docstrings of other people's code cost memory at every start; ours keep assertions.
FOREIGN, OWN = 2, 0


def walk(root: Path, drop: Callable[[str], bool]) -> Iterator[Path]:
    """Files under a folder that are not dropped, in a fixed order."""
    for path in sorted(root.iterdir()):
        yield from _walk(path, path.name, drop)


def _walk(path: Path, name: str, drop: Callable[[str], bool]) -> Iterator[Path]:
    if drop(name):
        return
    if not path.is_dir():
        yield path
        return
    for child in sorted(path.iterdir()):
        yield from _walk(child, f"{name}/{child.name}", drop)


def compile_file(source: Path, target: Path, shown: str, level: int) -> None:
    """Compiles one file; tracebacks show the given name, so the build folder does not leak."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        py_compile.compile(
            str(source),
            cfile=str(target),
            dfile=shown,
            doraise=True,
            optimize=level,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except py_compile.PyCompileError as error:
        raise BundleError(f"{source} does not compile: {error}") from error


def copy_tree(source: Path, target: Path, drop: Callable[[str], bool], level: int) -> None:
    """Copies a tree: .py becomes .pyc beside its place, anything else is copied as it is."""
    for path in walk(source, drop):
        relative = path.relative_to(source)
        if path.suffix == ".py":
            compile_file(path, target / relative.with_suffix(".pyc"), str(relative), level)
        else:
            place = target / relative
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def package(source: Path, target: Path) -> None:
    """Replaces a compiled package of our own."""
    if target.exists():
        shutil.rmtree(target)
    for path in walk(source, lambda name: "__pycache__" in name.split("/")):
        relative = path.relative_to(source)
        if path.suffix == ".py":
            shown = f"{source.name}/{relative}"
            compile_file(path, target / relative.with_suffix(".pyc"), shown, OWN)
        elif path.suffix != ".pyi" and path.name != "py.typed":
            place = target / relative
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
