"""What all tables share: building and running programs, medians, headings."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
STAGE = Path(os.environ.get("MATRIX_STAGE", ROOT / "build" / "stage"))
RUNS = int(os.environ.get("MATRIX_BENCH_RUNS", "5"))
SYNC_RUNS = int(os.environ.get("MATRIX_BENCH_SYNC_RUNS", "3"))
# What others bring: a Python with matrix-nio, one with matrix-rust-sdk's bindings, and
# matrix-bot-sdk with its Node.js. Without them their rows are left out.
NIO = os.environ.get("MATRIX_NIO_PYTHON")
RUST = os.environ.get("MATRIX_RUST_PYTHON")
PYTHON = NIO or sys.executable
PEERS = ROOT / "build" / "peers"
Row = dict[str, object]
Command = Sequence[object]


def build(name: str, folder: Path) -> Path:
    program = folder / name
    command = ["cc", "-std=gnu11", "-O2", f"-I{STAGE / 'include'}", ROOT / "bench" / f"{name}.c"]
    command += ["-o", program, f"-L{STAGE / 'lib'}", "-lmatrix", f"-Wl,-rpath,{STAGE / 'lib'}"]
    subprocess.run([*map(str, command), "-pthread"], check=True)
    return program


def output(command: Command, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **(env or {})},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def lines(command: Command, env: dict[str, str] | None = None) -> list[Row]:
    return [json.loads(line) for line in output(command, env).splitlines()]


def lua(name: str, script: str, *words: object) -> Command:
    """A script in an interpreter, `lua5.4` or `luajit`, that finds the staged module."""
    abi = {"lua5.4": "5.4", "luajit": "5.1"}[name]
    path = f"LUA_CPATH={STAGE}/lib/lua/{abi}/?.so"
    return ["env", path, name, ROOT / "bench" / script, *words]


def bot_sdk(*words: object) -> list[Command]:
    """matrix-bot-sdk as a list of one command, if it is there."""
    node = PEERS / "node"
    modules = f"NODE_PATH={PEERS / 'node_modules'}"
    return [["env", modules, node, ROOT / "bench" / "bot_sync.js", *words]] if node.exists() else []


def nio(script: str, *words: object) -> list[Command]:
    """A script for matrix-nio, if it is there."""
    return [[NIO, ROOT / "bench" / script, *words]] if NIO else []


def rust_sdk(*words: object) -> list[Command]:
    """matrix-rust-sdk, if it is there."""
    return [[RUST, ROOT / "bench" / "rust_sync.py", *words]] if RUST else []


def in_turns(
    commands: dict[str, list[Command]], rounds: int, run: Callable[[Command], Row]
) -> dict[str, dict[str, float]]:
    """Medians by label, of rounds in which all take their turns; labels without a command go."""
    rows: dict[str, list[Row]] = {label: [] for label, command in commands.items() if command}
    for _ in range(rounds):
        for label, found in rows.items():
            found += [run(command) for command in commands[label]]
    return {label: medians(found) for label, found in rows.items()}


def medians(rows: list[Row]) -> dict[str, float]:
    return {key: statistics.median(float(str(row[key])) for row in rows) for key in rows[0]}


def timed(command: Command) -> Row:
    """Seconds of the whole process, and its peak MiB, which is all it prints."""
    start = time.perf_counter()
    printed = output(command)
    return {"seconds": time.perf_counter() - start, "mib": float(printed)}


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def show_percentiles(rows: list[Row]) -> None:
    print(f"{'':16}{'clock':8}{'p50':>8}{'p99':>8}{'p99.9':>9}{'max':>10}")
    for row in rows:
        print(
            f"{row['name']:16}{row['clock']:8}{row['p50']:8.2f}{row['p99']:8.2f}"
            f"{row['p999']:9.2f}{row['max']:10.2f}"
        )
