"""The module in a process that is Python itself, through each Lua that lupa carries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lua.interpreters import HERE, environment

RUNTIMES = {
    "lua51": "5.1",
    "luajit21": "5.1",
    "lua52": "5.2",
    "lua53": "5.3",
    "lua54": "5.4",
    "lua55": "5.5",
}


@pytest.mark.parametrize("name", RUNTIMES)
def test_specs_through_lupa(name: str, stage: Path) -> None:
    specs = ["values", "calls", "tasks", "dispatch", "unasked", "lifecycle"]
    done = subprocess.run(
        [sys.executable, HERE / "lupa_host.py", name, *specs],
        env=environment(stage, RUNTIMES[name]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}{done.stderr}"
    assert done.stdout.endswith("lupa: 0 failed\n")
