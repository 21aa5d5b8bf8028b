"""The build backend: scikit-build-core's, whose wheel is then completed.

scikit-build-core leaves every .pyc and every .dist-info out of a wheel. In ours these are no
leftovers but the carried Python itself, so they are added from the build tree.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

from scikit_build_core import build as _backend
from scikit_build_core.build import (
    build_sdist,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_wheel",
]

BUILD = Path(__file__).resolve().parents[2] / "build" / "wheel"
CARRIED = "lib/libmatrix/python"


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, list[str] | str] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Builds the wheel, all of it."""
    name = _backend.build_wheel(wheel_directory, config_settings, metadata_directory)
    _complete(Path(wheel_directory, name))
    return name


def _row(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def _complete(wheel: Path) -> None:
    """Adds the files of the carried Python that are not in the wheel, also to its RECORD."""
    work = wheel.with_suffix(".part")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(work, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        (record,) = [name for name in names if name.endswith(".dist-info/RECORD")]
        rows = old.read(record).decode()
        for name in names:
            if name != record:
                new.writestr(old.getinfo(name), old.read(name))
        for path in sorted((BUILD / CARRIED).rglob("*")):
            name = f"libmatrix_bundle/{path.relative_to(BUILD).as_posix()}"
            if path.is_file() and name not in names:
                data = path.read_bytes()
                new.writestr(
                    zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED
                )
                rows += _row(name, data)
        new.writestr(old.getinfo(record), rows)
    work.replace(wheel)
