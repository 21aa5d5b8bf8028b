"""Tells what a bundle holds, by size."""

from __future__ import annotations

import gzip
from pathlib import Path


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in sorted(path.rglob("*")) if file.is_file() and not file.is_symlink()]


def _sizes(files: list[Path]) -> tuple[int, int]:
    whole = packed = 0
    for file in files:
        data = file.read_bytes()
        whole += len(data)
        packed += len(gzip.compress(data, 6))
    return whole, packed


def _parts(root: Path) -> dict[str, list[Path]]:
    home = root / "lib/libmatrix"
    parts: dict[str, list[Path]] = {"libmatrix.so": []}
    for file in root.glob("lib/libmatrix.so*"):
        if not file.is_symlink():
            parts["libmatrix.so"].append(file)
    parts["bridge.so"] = _files(home / "bridge.so")
    for file in _files(home / "lib"):
        parts[f"lib/{file.name}"] = [file]
    parts["python/stdlib"] = _files(home / "python/stdlib")
    parts["python/dynload"] = _files(home / "python/dynload")
    for entry in sorted((home / "python/site").glob("*")):
        if not entry.name.endswith(".dist-info"):
            parts[f"site/{entry.name}"] = _files(entry)
    parts["Lua modules"] = _files(root / "lib/lua")
    parts["fennel"] = _files(home / "fennel")
    parts["headers, pkg-config, CMake"] = [
        *_files(root / "include"), *_files(root / "lib/pkgconfig"), *_files(root / "lib/cmake")
    ]  # fmt: skip
    parts["documents and licences"] = _files(root / "share")
    return parts


def report(root: Path) -> str:
    """A table of all parts, largest first: bytes as they are, and each file gzipped alone."""
    rows = [(name, *_sizes(files)) for name, files in _parts(root).items() if files]
    rows.sort(key=lambda row: -row[1])
    lines = [f"{'part':<44}{'KiB':>9}{'gzip KiB':>10}"]
    small = [row for row in rows if row[1] < 100 * 1024]
    shown = [row for row in rows if row not in small]
    if small:
        count = f"{len(small)} parts under 100 KiB"
        shown.append((count, sum(row[1] for row in small), sum(row[2] for row in small)))
    shown.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    for name, whole, packed in shown:
        lines.append(f"{name:<44}{whole / 1024:>9.0f}{packed / 1024:>10.0f}")
    return "\n".join(lines)
