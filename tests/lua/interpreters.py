"""The Lua interpreters of the machine, and how to run one against the staged library."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Interpreter:
    """A program that runs Lua, and the ABI of the modules it loads."""

    name: str
    abi: str

    @property
    def program(self) -> str:
        """Its path; the one of Lua 5.5 is built with the test tools."""
        own = ROOT / "build" / "cache" / self.name / "bin" / self.name
        path = str(own) if own.exists() else shutil.which(self.name)
        assert path, f"{self.name} is missing; run make test-setup"
        return path

    def run(
        self,
        stage: Path,
        *arguments: str | Path,
        env: dict[str, str] | None = None,
        timeout: float = 120,
        wrapper: tuple[str, ...] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Runs it on the arguments, in `environment` and what `env` adds to it."""
        return subprocess.run(
            [*wrapper, self.program, *map(str, arguments)],
            env=environment(stage, self.abi) | (env or {}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def environment(stage: Path, abi: str) -> dict[str, str]:
    """The process's environment; on Lua's path are the staged module and what specs share."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LUA_")}
    return kept | {
        "LUA_CPATH": str(stage / "lib" / "lua" / abi / "?.so"),
        "LUA_PATH": f"{HERE}/?.lua",
    }


INTERPRETERS = [
    Interpreter("lua5.1", "5.1"),
    Interpreter("luajit", "5.1"),
    Interpreter("lua5.2", "5.2"),
    Interpreter("lua5.3", "5.3"),
    Interpreter("lua5.4", "5.4"),
    Interpreter("lua5.5", "5.5"),
]
