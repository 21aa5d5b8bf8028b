"""fennel.lua from the distribution's package, accepted only when its hash is known."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import common
import distribution
from common import CACHE, SetupError, say

_ACCEPTED = Path(__file__).parent / "fennel.sha256"
# The first Debian release with a package; its archive serves those that have none.
_DEBIAN_SUITE = "trixie"


def fetch(output: Path) -> None:
    """Puts fennel.lua and fennel.copyright into the folder, unless they are there."""
    with common.exclusive("fennel"):
        version = _version(output / "fennel.lua")
        if version and (output / "fennel.copyright").exists():
            return say(f"fennel {version}: {common.shown(output / 'fennel.lua')} up to date")
        _fetch(output)
    return None


def _fetch(output: Path) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    refused = []
    for describe, get in _ways():
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            folder = Path(scratch)
            say(f"looking for fennel in {describe}")
            if not get(folder):
                continue
            found = sorted(folder.glob("usr/share/lua/*/fennel.lua"))
            if found and (version := _version(found[0])):
                output.mkdir(parents=True, exist_ok=True)
                notice = folder / "usr/share/doc/fennel/copyright"
                shutil.copyfile(notice, output / "fennel.copyright")
                shutil.copyfile(found[0], output / "fennel.lua")
                return say(f"fennel {version}: {common.shown(output / 'fennel.lua')}")
            refused += [f"{path.name} {common.file_digest(path)}" for path in found]
    raise SetupError(
        "no accepted fennel.lua from this distribution"
        + (f" (refused: {'; '.join(refused)})" if refused else "")
        + "; name a file of yours with the CMake option -DMATRIX_FENNEL=/path/to/fennel.lua"
    )


def _ways() -> list[tuple[str, distribution.Getter]]:
    codename = distribution.release().get("VERSION_CODENAME", "")
    debian = distribution.release().get("ID") == "debian"
    suite = _DEBIAN_SUITE if debian else codename
    return [
        ("the system's package lists", distribution.installed_lists("fennel")),
        (f"the archive of {suite}", distribution.suite(suite, "fennel")),
    ]


def _version(path: Path) -> str:
    """The version whose hash the file has; empty for a file we do not know."""
    digest = common.file_digest(path)
    for line in _ACCEPTED.read_text().splitlines():
        known, _, version = line.partition("  ")
        if digest and known == digest:
            return version
    return ""
