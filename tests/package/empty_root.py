"""A root file system with the C library and Lua and nothing else: above all, no Python."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

WANTED = ("lua5.4", "libgcc-s1")
# Of all they depend on, what their programs load; no library that a bundle must bring itself.
_LOADED = re.compile(r"(libc6|libgcc-s1|lua5\.4|liblua5\.4\S*|libreadline\S*|libtinfo\S*)$")
_ALL_NEEDED = (
    "apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks "
    "--no-replaces --no-enhances"
).split()
# The loader asks /proc where a program is. Mounted in a namespace of the process's own, it is gone
# with the process.
_ENTER = 'mount --rbind /proc "$0/proc" && exec chroot "$0" "$@"'


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def _packages() -> list[str]:
    lines = _run(*_ALL_NEEDED, *WANTED).splitlines()
    return sorted({line for line in lines if _LOADED.match(line)})


def _fill(root: Path, downloads: Path) -> None:
    downloads.mkdir(parents=True, exist_ok=True)
    _run("apt-get", "-q", "-oAPT::Sandbox::User=root", "download", *_packages(), cwd=downloads)
    for package in sorted(downloads.glob("*.deb")):
        _run("dpkg-deb", "--extract", package, root)
    for name in ("bin", "lib", "lib64", "sbin"):
        _merge(root, name)
    for folder in ("dev", "etc", "opt", "proc", "root", "tmp"):
        (root / folder).mkdir(exist_ok=True)
    (root / "dev/null").touch()
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")


def _merge(root: Path, name: str) -> None:
    """Lays /lib and the like into /usr, as every distribution of today has them."""
    top = root / name
    if top.is_dir() and not top.is_symlink():
        shutil.copytree(top, root / "usr" / name, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(top)
    (root / "usr" / name).mkdir(parents=True, exist_ok=True)
    if not top.is_symlink():
        top.symlink_to(f"usr/{name}")


def make(cache: Path) -> Path:
    """The archive of the root; made once for each state of the distribution's package lists."""
    digest = hashlib.sha256(_run("apt-cache", "policy", *_packages()).encode()).hexdigest()[:12]
    archive = cache / f"empty-root-{digest}.tar"
    if not archive.exists():
        work = cache / f"empty-root-{os.getpid()}"
        _fill(work / "root", work / "downloads")
        _run("tar", "--create", "--file", work / "root.tar", "--directory", work / "root", ".")
        (work / "root.tar").replace(archive)
        shutil.rmtree(work)
    return archive


def unpack(archive: Path, root: Path) -> Path:
    """A fresh root; fails when there is any Python in it."""
    root.mkdir(parents=True)
    _run("tar", "--extract", "--file", archive, "--directory", root)
    found = [path for path in root.rglob("*python*") if "gdb" not in path.parts]
    assert not found, f"not an empty root: {found}"
    return root


def run(
    root: Path, program: str, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a program of the root inside it, with the network of this machine."""
    enter = ["unshare", "--mount", "/bin/sh", "-c", _ENTER, str(root)]
    if os.geteuid() != 0:
        enter.insert(1, "--map-root-user")
    return subprocess.run(
        [*enter, program, *arguments],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **(env or {})},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
