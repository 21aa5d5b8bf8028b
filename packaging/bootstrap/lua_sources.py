"""Lua from the sources that the lupa archive carries: headers of every version, and Lua 5.5."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import archives
import common
from common import CACHE, say

# Extension modules find Lua's functions in the executable, hence -E.
_LINK = ("-Wl,-E", "-ldl", "-lm")
_HEADERS = ("lua.h", "luaconf.h", "lauxlib.h", "lualib.h")
_FOLDERS = {
    "5.1": "third-party/lua51/src",
    "5.2": "third-party/lua52",
    "5.3": "third-party/lua53",
    "5.4": "third-party/lua54",
    "5.5": "third-party/lua55",
}


def headers(output: Path) -> None:
    """Puts the C headers of each version into a folder of its own: 5.1 (also LuaJIT's) to 5.5."""
    with common.exclusive("lua-headers"):
        digest = _digest(_FOLDERS, _HEADERS)
        if common.stamped(output, digest):
            return say(f"lua headers: {common.shown(output)} up to date")
        wanted = {
            f"{folder}/{name}": f"{version}/{name}"
            for version, folder in _FOLDERS.items()
            for name in _HEADERS
        }
        for name, data in archives.read(archives.fetch("lupa"), wanted).items():
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (output / name).write_bytes(data)
        common.stamp(output, digest)
        say(f"lua headers: {common.shown(output)}")
    return None


def interpreter(output: Path) -> None:
    """Builds bin/lua5.5 and include/ in the folder; no distribution of today has it."""
    with common.exclusive("lua5.5"):
        digest = _digest(_FOLDERS["5.5"])
        if common.stamped(output, digest):
            return say(f"lua5.5: {common.shown(output)} up to date")
        archive = archives.fetch("lupa")
        say("building lua5.5")
        shutil.rmtree(output, ignore_errors=True)
        _build(archive, output)
        common.stamp(output, digest)
        say(f"lua5.5: {common.shown(output / 'bin' / 'lua5.5')}")
    return None


def _build(archive: Path, output: Path) -> None:
    for name in ("bin", "include"):
        (output / name).mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        source = Path(scratch)
        archives.unpack(archive, _FOLDERS["5.5"], source)
        program = output / "bin" / "lua5.5"
        common.run(["cc", "-O2", "-DLUA_USE_LINUX", source / "onelua.c", "-o", program, *_LINK])
        for name in _HEADERS:
            shutil.copyfile(source / name, output / "include" / name)


def _digest(*parts: object) -> str:
    return common.digest_of(repr(parts), (common.LOCKS / "sources.txt").read_bytes())
