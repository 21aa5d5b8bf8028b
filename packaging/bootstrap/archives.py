"""Source archives from the package index: fetched by pip, checked by hash, never run."""

from __future__ import annotations

import re
import tarfile
import tempfile
from pathlib import Path

import common
from common import CACHE, LOCKS, SetupError, say

_METADATA_ONLY = Path(__file__).parent / "metadata_only"
_DOWNLOAD = (
    "download",
    "--disable-pip-version-check",
    "--no-deps",
    "--no-binary=:all:",
    "--no-build-isolation",
    "--require-hashes",
)


def fetch(name: str) -> Path:
    """The archive of this name that packaging/locks/sources.txt pins, in build/cache."""
    requirement, expected = _pinned(name)
    folder = CACHE / "archives"
    with common.exclusive(f"archive-{name}"):
        for path in folder.glob(f"{name}-*.tar.gz"):
            if common.file_digest(path) == expected:
                return path
            path.unlink()
        say(f"fetching {requirement.split()[0]}")
        return _download(requirement, folder, expected)


def read(archive: Path, members: dict[str, str]) -> dict[str, bytes]:
    """The contents of some files; the names are given without the archive's top folder."""
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            key = member.name.partition("/")[2]
            if key in members and (stream := tar.extractfile(member)):
                found[members[key]] = stream.read()
    if missing := set(members.values()) - found.keys():
        raise SetupError(f"{archive.name} lacks {', '.join(sorted(missing))}")
    return found


def unpack(archive: Path, inside: str, target: Path) -> None:
    """Writes the plain files below one folder of the archive into `target`."""
    with tarfile.open(archive) as tar:
        for member in tar:
            path = member.name.partition("/")[2]
            if path.startswith(f"{inside}/") and (stream := tar.extractfile(member)):
                place = target / path.removeprefix(f"{inside}/")
                if ".." not in place.parts:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(stream.read())


def _pinned(name: str) -> tuple[str, str]:
    text = (LOCKS / "sources.txt").read_text()
    found = re.search(rf"^{name}==\S+ \\\n\s*--hash=sha256:([0-9a-f]{{64}})$", text, re.MULTILINE)
    if not found:
        raise SetupError(f"packaging/locks/sources.txt does not pin {name}")
    return found.group(), found.group(1)


def _download(requirement: str, folder: Path, expected: str) -> Path:
    """Lets pip download and check it. pip insists on asking an archive's build system for
    metadata, so it is shown one that only copies PKG-INFO: nothing of the archive is run."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        listed = Path(scratch, "requirement.txt")
        listed.write_text(requirement)
        common.run(
            [*common.pip_command(), *_DOWNLOAD, "--dest", Path(scratch, "got"), "-r", listed],
            environment={"PYTHONPATH": str(_METADATA_ONLY)},
            quiet=True,
        )
        for path in Path(scratch, "got").iterdir():
            if common.file_digest(path) == expected:
                return path.rename(folder / path.name)
    raise SetupError(f"pip fetched something else than {requirement}")
