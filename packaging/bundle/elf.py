"""Reads and changes the dynamic section of ELF files: just what bundling needs."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from errors import BundleError

DT_NEEDED, DT_STRTAB, DT_SONAME, DT_RPATH, DT_RUNPATH = 1, 5, 14, 15, 29
PT_LOAD, PT_DYNAMIC = 1, 2

# What every glibc system has; all else must come with the bundle. libgcc_s belongs here because
# glibc itself loads it by name, so a private copy would be a second unwinder in the process.
SYSTEM_LIBRARIES = re.compile(
    r"(lib(c|m|dl|pthread|rt|util|resolv|gcc_s)\.so\.\d+|ld-linux[-\w]*\.so\.\d+|linux-vdso\.so\.1)$"
)


@dataclass
class Dynamic:
    """The entries of one file's dynamic section that name other files."""

    soname: str | None = None
    needed: list[str] = field(default_factory=list)
    rpath: list[str] = field(default_factory=list)
    runpath: list[str] = field(default_factory=list)


def is_elf(path: Path) -> bool:
    """True for a regular 64-bit little-endian ELF file."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(6) == b"\x7fELF\x02\x01"


def elf_files(root: Path) -> Iterator[Path]:
    """All ELF files under a folder, in a fixed order."""
    return (path for path in sorted(root.rglob("*")) if is_elf(path))


def _segments(data: bytes) -> list[tuple[int, int, int, int]]:
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    found = []
    for index in range(count):
        kind, _, at, address, _, length = struct.unpack_from("<IIQQQQ", data, offset + index * size)
        found.append((kind, at, address, length))
    return found


def _file_offset(segments: list[tuple[int, int, int, int]], address: int) -> int:
    for kind, at, start, length in segments:
        if kind == PT_LOAD and start <= address < start + length:
            return at + address - start
    raise BundleError(f"no segment holds address {address:#x}")


def read_dynamic(path: Path) -> Dynamic:
    """The dynamic section of a file; empty for a static one."""
    data = path.read_bytes()
    segments = _segments(data)
    entries: list[tuple[int, int]] = []
    for kind, at, _, length in segments:
        if kind == PT_DYNAMIC:
            entries = list(struct.iter_unpack("<QQ", data[at : at + length // 16 * 16]))
    strings = next((value for tag, value in entries if tag == DT_STRTAB), None)
    result = Dynamic()
    if strings is None:
        return result
    base = _file_offset(segments, strings)
    for tag, value in entries:
        if tag not in (DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH):
            continue
        start = base + value
        text = data[start : data.index(b"\0", start)].decode()
        if tag == DT_NEEDED:
            result.needed.append(text)
        elif tag == DT_SONAME:
            result.soname = text
        else:
            (result.rpath if tag == DT_RPATH else result.runpath).extend(text.split(":"))
    return result


def tool(name: str) -> str:
    """The full path of a program the bundler runs."""
    found = shutil.which(name)
    if not found:
        raise BundleError(
            f"{name} is not on PATH; install it (python3 -m pip install {name}, or the "
            f"distribution's package) or name it with --{name}"
        )
    return found


def run(command: list[str]) -> str:
    """Runs a command and returns what it printed; its error text goes into the exception."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BundleError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def resolve(path: Path) -> dict[str, Path]:
    """What the loader of this machine finds for everything a file needs, by name."""
    found = {}
    for line in run([tool("ldd"), str(path)]).splitlines():
        match = re.match(r"\s*(\S+) => (/\S.*) \(0x", line)
        if match:
            found[match[1]] = Path(match[2])
    return found


def patch(path: Path, *arguments: str) -> None:
    """Runs patchelf on a file."""
    run([tool("patchelf"), *arguments, str(path)])


def strip(path: Path) -> None:
    """Removes everything the loader does not need."""
    path.chmod(0o755)
    run([tool("strip"), "--strip-unneeded", str(path)])
    path.chmod(0o644)
