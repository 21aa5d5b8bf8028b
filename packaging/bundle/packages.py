"""Installs the locked wheels and copies what is needed of them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import bytecode
import trim
from errors import BundleError

METADATA_KEYS = ("Metadata-Version:", "Name:", "Version:")


def _pip() -> tuple[list[str], dict[str, str]]:
    """A command that runs pip in this interpreter, and its environment."""
    environment = dict(os.environ)
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"], environment
    if importlib.util.find_spec("ensurepip"):
        import ensurepip

        folders = [Path(ensurepip.__file__).parent / "_bundled", Path("/usr/share/python-wheels")]
        for wheel in (path for folder in folders for path in folder.glob("pip-*.whl")):
            return [sys.executable, f"{wheel}/pip"], environment
    raise BundleError(
        f"{sys.executable} has no pip; install it for this interpreter (Debian: python3-pip), it "
        "is needed at build time only"
    )


def _digest(lock: Path) -> str:
    text = lock.read_bytes() + sys.version.encode()
    return hashlib.sha256(text).hexdigest()


def install(lock: Path, target: Path) -> None:
    """Installs the hash-checked wheels of the lock file, unless they already are there."""
    stamp = target / ".lock-digest"
    if stamp.exists() and stamp.read_text() == _digest(lock):
        return
    if target.exists():
        shutil.rmtree(target)
    command, environment = _pip()
    command += ["install", "--disable-pip-version-check", "--no-input", "--no-compile", "-qq"]
    command += ["--require-hashes", "--only-binary=:all:", "--ignore-installed", "--no-deps"]
    command += ["--target", str(target), "--requirement", str(lock)]
    environment["PYTHONNOUSERSITE"] = "1"
    environment["PIP_ROOT_USER_ACTION"] = "ignore"
    if subprocess.run(command, env=environment, check=False).returncode != 0:
        raise BundleError(f"pip could not install {lock} for {sys.executable}")
    stamp.write_text(_digest(lock))


def _copy_metadata(source: Path, target: Path) -> None:
    """Keeps what importlib.metadata needs to tell a version."""
    target.mkdir(parents=True)
    lines = (source / "METADATA").read_text(encoding="utf-8").splitlines()
    header = lines[: lines.index("")] if "" in lines else lines
    kept = [line for line in header if line.startswith(METADATA_KEYS)]
    (target / "METADATA").write_text("\n".join(kept) + "\n", encoding="utf-8")


def collect(installed: Path, target: Path) -> None:
    """Copies the installed packages, trimmed and compiled, into the bundle's site folder."""

    def drop(name: str) -> bool:
        return ".dist-info" in name or name == ".lock-digest" or trim.drop_site(name)

    bytecode.copy_tree(installed, target, drop, bytecode.FOREIGN)
    for metadata in sorted(installed.glob("*.dist-info")):
        if not metadata.name.startswith("pycparser-"):
            _copy_metadata(metadata, target / metadata.name)
