"""Where the parts of the installed libmatrix are: for build scripts, and for Lua hosts in Python.

The wheel holds the same tree as the other packages, with its own Python inside; this module is only
a signpost. On a shell: `libmatrix-config --library` and the like.
"""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["cmake_dir", "include_dir", "library", "lua_cpath", "pkgconfig_dir", "prefix"]


def prefix() -> Path:
    """The folder that holds include, lib and share."""
    return Path(__file__).resolve().parent


def include_dir() -> Path:
    """For the C compiler's -I."""
    return prefix() / "include"


def library() -> Path:
    """The shared library, for ctypes, cffi or a linker."""
    return next(prefix().glob("lib/libmatrix.so.*"))


def lua_cpath(version: str) -> str:
    """An entry for Lua's package.cpath; the version as "5.4", LuaJIT is "5.1"."""
    folder = prefix() / "lib" / "lua" / version
    if not (folder / "matrix.so").exists():
        known = sorted(path.parent.name for path in prefix().glob("lib/lua/*/matrix.so"))
        raise ValueError(f"there is no module for Lua {version}, only for {', '.join(known)}")
    return f"{folder}/?.so"


def cmake_dir() -> Path:
    """For -Dmatrix_DIR of a CMake project that calls find_package(matrix)."""
    return prefix() / "lib/cmake/matrix"


def pkgconfig_dir() -> Path:
    """For PKG_CONFIG_PATH."""
    return prefix() / "lib/pkgconfig"


def main() -> None:
    """Prints one of the paths."""
    parser = argparse.ArgumentParser(prog="libmatrix-config", description=__doc__)
    group = parser.add_mutually_exclusive_group(required=True)
    for function in (prefix, include_dir, library, cmake_dir, pkgconfig_dir):
        option = "--" + function.__name__.replace("_", "-")
        group.add_argument(
            option, dest="show", action="store_const", const=function, help=function.__doc__
        )
    group.add_argument("--lua-cpath", metavar="VERSION", help=lua_cpath.__doc__)
    options = parser.parse_args()
    print(lua_cpath(options.lua_cpath) if options.lua_cpath else options.show())
