"""Private Python environments, filled from hash-checked lock files."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import common
from common import BUILD, CACHE, LOCKS, SetupError, say

_CHECKED = ("--require-hashes", "--only-binary=:all:", "--no-deps")
_COMPILE = (
    "pip",
    "compile",
    "--quiet",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-annotate",
    "--custom-compile-command=python3 packaging/bootstrap lock",
)


def tools() -> None:
    """build/venv: what builds, checks and tests, and what the sources import."""
    _ensure("venv", ["tools", "runtime"], "build and test tools")


def synapse() -> None:
    """build/synapse: the homeserver of the tests and of the demo."""
    _ensure("synapse", ["synapse"], "Synapse")


def lock() -> None:
    """Brings the lock files in line with their .in files; delete a .txt to upgrade all of it."""
    for name in ("runtime", "tools", "synapse", "node"):
        say(f"locking {name}")
        common.run(
            [_uv(), *_COMPILE, f"--output-file={name}.txt", f"{name}.in"],
            cwd=LOCKS,
            environment=_uv_environment(),
        )


def tool_folder(name: str) -> Path:
    """build/NAME: the wheels of a lock file, unpacked side by side without an environment."""
    target = BUILD / name
    requirements = (LOCKS / f"{name}.txt").read_text()
    digest = common.digest_of(requirements, sys.platform, os.uname().machine)
    with common.exclusive(name):
        if not common.stamped(target, digest):
            say(f"build/{name}: installing")
            shutil.rmtree(target, ignore_errors=True)
            _pip_install(requirements, target)
            common.stamp(target, digest)
    return target


def _ensure(name: str, locks: list[str], what: str) -> None:
    target = BUILD / name
    files = [LOCKS / f"{lock_name}.txt" for lock_name in locks]
    digest = common.digest_of(sys.version, sys.base_prefix, *(path.read_bytes() for path in files))
    with common.exclusive(name):
        if common.stamped(target, digest):
            return say(f"build/{name}: up to date")
        say(f"build/{name}: installing {what} for Python {sys.version.split()[0]}")
        shutil.rmtree(target, ignore_errors=True)
        _fill(target, files)
        common.stamp(target, digest)
    return None


def _fill(target: Path, files: list[Path]) -> None:
    requirements = [word for path in files for word in ("-r", str(path))]
    python = target / "bin" / "python"
    try:
        uv = _uv()
        common.run(
            [uv, "venv", "--quiet", "--python", sys.executable, target],
            environment=_uv_environment(),
        )
        common.run(
            [uv, "pip", "install", "--quiet", "--python", python, *_CHECKED, *requirements],
            environment=_uv_environment(),
        )
    except SetupError as error:
        say(f"uv could not do it, trying pip: {error}")
        shutil.rmtree(target, ignore_errors=True)
        common.run([sys.executable, "-m", "venv", target])
        common.run([python, "-m", "pip", "install", "--quiet", *_CHECKED, *requirements])


def _uv() -> Path:
    """The pinned uv, in a folder of its own because every environment is made with it."""
    text = (LOCKS / "tools.txt").read_text()
    found = re.search(r"^uv==(?:.*\\\n)+.*$", text, re.MULTILINE)
    if not found:
        raise SetupError("packaging/locks/tools.txt does not pin uv")
    target = CACHE / "uv"
    digest = common.digest_of(found.group(), sys.platform, os.uname().machine)
    with common.exclusive("uv"):
        if not common.stamped(target, digest):
            say("installing uv")
            shutil.rmtree(target, ignore_errors=True)
            _pip_install(found.group(), target)
            common.stamp(target, digest)
    return target / "bin" / "uv"


def _pip_install(requirement: str, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "requirement.txt")
        listed.write_text(requirement)
        common.run(
            [*common.pip_command(), "install", *_CHECKED, "--target", target, "-r", listed],
            environment={"PIP_ROOT_USER_ACTION": "ignore"},
            quiet=True,
        )


def _uv_environment() -> dict[str, str]:
    """Lets uv follow pip's configuration of this machine where it has none of its own."""
    chosen = {"UV_PYTHON_DOWNLOADS": "never"}
    pip = common.pip_command()
    if not os.environ.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
        index = common.output_of([*pip, "config", "get", "global.index-url"]).strip()
        index = os.environ.get("PIP_INDEX_URL", index)
        if index:
            chosen["UV_DEFAULT_INDEX"] = index
    if "SSL_CERT_FILE" not in os.environ and "PIP_CERT" in os.environ:
        chosen["SSL_CERT_FILE"] = os.environ["PIP_CERT"]
    return chosen
