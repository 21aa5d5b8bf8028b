"""Run inside the bundled Python by `verify`: imports everything and looks at what got loaded."""

from __future__ import annotations

import ctypes
import importlib
import os
import re
import sys
import time
import warnings

HOME = os.path.normpath(sys.path[0] + "/../..")
SYSTEM = re.compile(r"/(lib(c|m|dl|pthread|rt|util|resolv|gcc_s)[.-]\S*so|ld-linux)[^/]*$")


def modules(folder: str) -> list[str]:
    """Names of all modules under one entry of sys.path."""
    found = []
    for place, _, files in os.walk(folder):
        parts = place[len(folder) :].strip("/").split("/") if place != folder else []
        if any(not part.isidentifier() for part in parts):
            continue
        for file in files:
            name, _, kind = file.partition(".")
            if kind != "pyc" and not kind.endswith("so"):
                continue
            full = ".".join(parts + ([] if name == "__init__" else [name]))
            if full and is_module(os.path.join(place, file)):
                found.append(full)
    return sorted(found)


def is_module(path: str) -> bool:
    """False for a plain shared library that a package loads through ctypes; it is loaded here."""
    if path.endswith(".pyc"):
        return True
    with open(path, "rb") as file:
        if b"PyInit_" in file.read():
            return True
    ctypes.CDLL(path)
    return False


def foreign_files() -> list[str]:
    """Shared objects mapped from outside the bundle that are not the C library's."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = {line.split(maxsplit=5)[5].strip() for line in maps if ".so" in line}
    return sorted(path for path in paths if not path.startswith(HOME) and not SYSTEM.search(path))


def main() -> int:
    """Imports all; the exit status tells whether all went well."""
    warnings.simplefilter("ignore")
    begin, failed, count = time.monotonic(), [], 0
    for folder in sys.path:
        for name in modules(folder):
            count += 1
            try:
                importlib.import_module(name)
            except BaseException as error:
                failed.append(f"{name}: {type(error).__name__}: {error}")
    try:
        # It is linked without libpython, so a symbol that is missing shows here first.
        ctypes.CDLL(HOME + "/bridge.so")
    except OSError as error:
        failed.append(str(error))
    for path in foreign_files():
        failed.append(f"{path} was loaded from outside the bundle")
    print("\n".join(failed) or f"bundle: {count} modules import, {time.monotonic() - begin:.1f} s")
    return 1 if failed else 0


sys.exit(main())
