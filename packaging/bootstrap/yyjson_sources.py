"""The sources of yyjson, as the package index's archive carries them."""

from __future__ import annotations

from pathlib import Path

import archives
import common
from common import SetupError, say

# file in the archive → name here, SHA-256 of upstream's own file
_FILES = {
    "yyjson/yyjson.c": (
        "yyjson.c",
        "26e50ca6a9a08d88b15ed7a47c144e29766216d134cad3a016de6163c5bb224d",
    ),
    "yyjson/yyjson.h": (
        "yyjson.h",
        "1d63b4e449f5b24116afab40b8f1b79f2703d5905aa8ab4ca46c97b7e513ba04",
    ),
}
_MARK = "yyjson.c and yyjson.h are used under the following license:"


def fetch(output: Path) -> None:
    """Puts yyjson.c, yyjson.h and LICENSE into the folder, unless they are there."""
    with common.exclusive("yyjson"):
        names = dict(_FILES.values())
        if (output / "LICENSE").exists() and all(
            common.file_digest(output / name) == digest for name, digest in names.items()
        ):
            return say(f"yyjson: {common.shown(output)} up to date")
        wanted = {path: name for path, (name, _) in _FILES.items()} | {"LICENSE": "LICENSE"}
        contents = archives.read(archives.fetch("yyjson"), wanted)
        output.mkdir(parents=True, exist_ok=True)
        for name, data in contents.items():
            (output / name).write_bytes(_licence(data) if name == "LICENSE" else data)
        for name, digest in names.items():
            if common.file_digest(output / name) != digest:
                raise SetupError(f"{output / name} is not the file that is expected")
        say(f"yyjson: {common.shown(output)}")
    return None


def _licence(data: bytes) -> bytes:
    """The archive's licence file speaks of its Python part first, which is not used."""
    text = data.decode()
    if _MARK not in text:
        raise SetupError("the yyjson archive's LICENSE does not hold yyjson's own licence")
    return (text.partition(_MARK)[2].strip() + "\n").encode()
