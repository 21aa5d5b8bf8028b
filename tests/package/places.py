"""Where things are, and what the fixtures give."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.homeserver import Account, Homeserver

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"
CACHE = ROOT / "build" / "cache"
FOLDER = "opt/my programs"
ROOM_NAME = "Tea and biscuits"


@dataclass(frozen=True)
class Packages:
    """What `make package` makes."""

    tgz: Path
    deb: Path


@dataclass(frozen=True)
class Installed:
    """A package unpacked in an empty root; `prefix` is what holds include and lib."""

    root: Path
    prefix: Path

    def inside(self, path: Path) -> str:
        """The path as programs of the root see it."""
        return "/" + str(path.relative_to(self.root))


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Runs a tool, the project's own before the machine's; a failure shows all it said."""
    if env is None:
        env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Member:
    """An account, and a room it is in."""

    server: Homeserver
    account: Account
    room_id: str

    def environment(self, ca_file: str = "") -> dict[str, str]:
        """What the example programs are told; over TLS where an authority is named."""
        told = {
            "MATRIX_HOMESERVER": self.server.tls_url if ca_file else self.server.url,
            "MATRIX_USER": self.account.user,
            "MATRIX_PASSWORD": self.account.password,
        }
        return told | ({"MATRIX_CA_FILE": ca_file} if ca_file else {})

    def check(self, done: subprocess.CompletedProcess[str]) -> None:
        """The program ended well and has printed the room."""
        assert done.returncode == 0, f"{done.returncode}: {done.stdout}{done.stderr}"
        assert done.stderr == ""
        lines = [line for line in done.stdout.splitlines() if self.room_id in line]
        assert len(lines) == 1, done.stdout
        assert ROOM_NAME in lines[0]
