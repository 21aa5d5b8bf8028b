"""Where things are, and what the fixtures give."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.homeserver import Account

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"
CACHE = ROOT / "build" / "cache"
FOLDER = "opt/my programs"


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
    """Runs a tool; a failure shows all it said."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Member:
    """An account, and a room it is in."""

    account: Account
    room_id: str

    @property
    def environment(self) -> dict[str, str]:
        """How the example programs get the password."""
        return {"ROOM_LIST_PASSWORD": self.account.password}

    def check(self, done: subprocess.CompletedProcess[str]) -> None:
        """The program logged in and has printed the room."""
        assert done.returncode == 0, f"{done.returncode}: {done.stdout}{done.stderr}"
        lines = done.stdout.splitlines()
        assert lines[0] == f"logged in as {self.account.user_id}"
        assert f"{self.room_id} Tea and biscuits" in lines
