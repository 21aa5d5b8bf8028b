"""Prints the benchmark tables: `python -m bench`. Only ratios within one run count.

It needs build/stage, a C compiler, and for the comparison a Python with matrix-nio (the one the
variable MATRIX_NIO_PYTHON names; `make bench` sets it up).
"""

from __future__ import annotations

import json
import os
import ssl
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.fixture import Fixture
from bench.history_fixture import EVENTS as HISTORY_EVENTS
from bench.history_fixture import ROOM, HistoryFixture, pages
from bench.idle_fixture import IdleFixture
from bench.sync_fixture import (
    BIG_EVENTS,
    BIG_ROOMS,
    LISTED_ROOMS,
    STREAM_TOTAL,
    SyncFixture,
    big,
    many_rooms,
    stream,
)
from tests.support import certificates

ROOT = Path(__file__).parent.parent
STAGE = Path(os.environ.get("MATRIX_STAGE", ROOT / "build" / "stage"))
RUNS = int(os.environ.get("MATRIX_BENCH_RUNS", "5"))
SYNC_RUNS = int(os.environ.get("MATRIX_BENCH_SYNC_RUNS", "3"))
MANY, MANY_ROOMS = 500, 5
Row = dict[str, object]


def build(name: str, folder: Path) -> Path:
    program = folder / name
    command = ["cc", "-std=gnu11", "-O2", f"-I{STAGE / 'include'}", ROOT / "bench" / f"{name}.c"]
    command += ["-o", program, f"-L{STAGE / 'lib'}", "-lmatrix", f"-Wl,-rpath,{STAGE / 'lib'}"]
    subprocess.run([*map(str, command), "-pthread"], check=True)
    return program


def lines(command: Sequence[object], env: dict[str, str] | None = None) -> list[Row]:
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **(env or {})},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def host_calls(folder: Path) -> None:
    program = build("host_calls", folder)
    for title, busy_ms in (("runtime idle", 0), ("runtime holds Python's lock", 2000)):
        heading(f"host calls, {title} (us, 10,000 samples each)")
        print(f"{'':16}{'clock':8}{'p50':>8}{'p99':>8}{'p99.9':>9}{'max':>10}")
        for row in lines([program, 10000, busy_ms]):
            print(
                f"{row['name']:16}{row['clock']:8}{row['p50']:8.2f}{row['p99']:8.2f}"
                f"{row['p999']:9.2f}{row['max']:10.2f}"
            )


def throughput(folder: Path) -> None:
    heading("no-op operations and callbacks")
    rows = lines([build("throughput", folder)])
    script = ROOT / "bench" / "callbacks.lua"
    for interpreter, abi in (("lua5.4", "5.4"), ("luajit", "5.1")):
        path = {"LUA_CPATH": f"{STAGE}/lib/lua/{abi}/?.so"}
        rows += lines([interpreter, script], env=path)
    for row in rows:
        values = ", ".join(f"{key} {value}" for key, value in row.items() if key != "name")
        print(f"{row['name']:26}{values}")


def timed(command: Sequence[object]) -> tuple[float, float]:
    """Seconds and peak MiB of one run."""
    start = time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True
    )
    return time.perf_counter() - start, float(done.stdout)


def cold_start(folder: Path) -> None:
    heading(f"cold start against a loopback server (median of {RUNS}, turn by turn)")
    program = build("cold_start", folder)
    nio = os.environ.get("MATRIX_NIO_PYTHON")
    print(f"{'':12}{'libmatrix s':>14}{'nio s':>10}{'ratio':>8}{'MiB':>8}{'nio MiB':>9}")
    for until in ("login", "sync"):
        ours, theirs = [], []
        with Fixture() as url:
            timed([program, url, until])
            for _ in range(RUNS):
                ours.append(timed([program, url, until]))
                if nio:
                    theirs.append(timed([nio, ROOT / "bench" / "nio_start.py", url, until]))
        mine = [statistics.median(column) for column in zip(*ours, strict=True)]
        line = f"{'to ' + until:12}{mine[0]:14.3f}"
        if theirs:
            peer = [statistics.median(column) for column in zip(*theirs, strict=True)]
            line += f"{peer[0]:10.3f}{mine[0] / peer[0]:8.2f}{mine[1]:8.1f}{peer[1]:9.1f}"
        print(line)


def syncing(folder: Path) -> None:
    """Initial and incremental syncs: ours in C and Lua, bare nio once, and the floor."""
    program = build("syncing", folder)
    script = ROOT / "bench" / "syncing.lua"
    lua = {"LUA_CPATH": f"{STAGE}/lib/lua/5.4/?.so"}
    nio = os.environ.get("MATRIX_NIO_PYTHON")
    python = nio or sys.executable
    cases = (("big", big(), BIG_ROOMS * BIG_EVENTS), ("stream", stream(), STREAM_TOTAL))
    for name, bodies, events in cases:
        heading(f"{name}: {events} events in {sum(map(len, bodies)) / 1e6:.1f} MB (medians)")
        rows: dict[str, list[Row]] = {}
        with SyncFixture(bodies) as url:
            for run in range(SYNC_RUNS):
                store = folder / f"{name}{run}"
                commands: dict[str, list[object]] = {
                    "floor": [python, ROOT / "bench" / "floor_sync.py", url, events],
                    "C": [program, url, f"{store}-c", events],
                    "Lua 5.4": ["lua5.4", script, url, f"{store}-lua", events],
                }
                for label, command in commands.items():
                    rows.setdefault(label, []).extend(lines(command, lua))
            if nio:
                rows["nio"] = lines([nio, ROOT / "bench" / "nio_sync.py", url, events])
        show_syncing(rows, events)


def show_syncing(rows: dict[str, list[Row]], events: int) -> None:
    print(f"{'':12}{'seconds':>9}{'events/s':>12}{'of floor':>10}{'MiB':>8}")
    floor = 0.0
    for label, found in rows.items():
        seconds = statistics.median(float(str(row["seconds"])) for row in found)
        mib = statistics.median(float(str(row["mib"])) for row in found)
        floor = floor or seconds
        print(f"{label:12}{seconds:9.3f}{events / seconds:12,.0f}{floor / seconds:10.3f}{mib:8.1f}")


def many(folder: Path) -> None:
    """What each of many idle clients costs, with and without TLS."""
    heading(f"{MANY} clients, {MANY_ROOMS} rooms each, that wait for news (each beyond the first)")
    program = build("many", folder)
    made = certificates.make(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.certificate, made.key)
    print(f"{'':12}{'KiB':>9}{'files':>9}{'s until all sync':>19}")
    for label, context, words in (("http", None, ()), ("https", tls, (made.ca,))):
        with IdleFixture(MANY_ROOMS, context) as url:
            [row] = lines([program, url, folder / f"many-{label}", MANY, *words])
        print(f"{label:12}{row['kib']:9}{row['files']:9}{row['seconds']:19}")


def room_lists() -> None:
    """The list of rooms into Lua, and what a JSON library takes for its text alone."""
    heading(f"rooms, {LISTED_ROOMS:,} of them, into a table")
    print(f"{'':12}{'rooms ms':>10}{'cjson ms':>10}{'ratio':>8}{'MB':>8}")
    script = ROOT / "bench" / "rooms.lua"
    with SyncFixture(many_rooms()) as url:
        for program, abi in (("lua5.4", "5.4"), ("luajit", "5.1")):
            cjson = f"{sysconfig.get_config_var('MULTIARCH')}/lua/{abi}/?.so"
            path = {"LUA_CPATH": f"{STAGE}/lib/lua/{abi}/?.so;/usr/lib/{cjson}"}
            [row] = lines([program, script, url, LISTED_ROOMS], env=path)
            ours, theirs = float(str(row["rooms_ms"])), float(str(row["cjson_ms"]))
            size = int(str(row["bytes"])) / 1e6
            print(f"{program:12}{ours:10.1f}{theirs:10.1f}{ours / theirs:8.2f}{size:8.1f}")


def history() -> None:
    """A room's history into Lua tables beside nio's room_messages, turn by turn."""
    script, nio = ROOT / "bench" / "history.lua", os.environ.get("MATRIX_NIO_PYTHON")
    for size in (100, 1000):
        heading(f"history: {HISTORY_EVENTS} events in pages of {size} (medians of {SYNC_RUNS})")
        rows: dict[str, list[Row]] = {}
        with HistoryFixture(pages(size)) as url:
            commands: dict[str, list[object]] = {}
            for name, abi in (("lua5.4", "5.4"), ("luajit", "5.1")):
                path = f"LUA_CPATH={STAGE}/lib/lua/{abi}/?.so"
                commands[name] = ["env", path, name, script, url, ROOM, size, HISTORY_EVENTS]
            if nio:
                peer = ROOT / "bench" / "nio_history.py"
                commands["nio"] = [nio, peer, url, ROOM, size, HISTORY_EVENTS]
            for _ in range(SYNC_RUNS):
                for label, command in commands.items():
                    rows.setdefault(label, []).extend(lines(command))
        show_history(rows)


def show_history(rows: dict[str, list[Row]]) -> None:
    """With the ratio to nio, where it ran."""
    found = {
        label: statistics.median(float(str(row["seconds"])) for row in each)
        for label, each in rows.items()
    }
    print(f"{'':12}{'seconds':>9}{'events/s':>12}{'of nio':>10}")
    for label, seconds in found.items():
        ratio = f"{found['nio'] / seconds:10.1f}" if "nio" in found else ""
        print(f"{label:12}{seconds:9.3f}{HISTORY_EVENTS / seconds:12,.0f}{ratio}")


def tree_bytes(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files if not file.is_symlink())


def sizes() -> None:
    heading("bundle by part (MiB, unpacked)")
    home = STAGE / "lib" / "libmatrix"
    parts = [STAGE / "lib" / "libmatrix.so", STAGE / "lib" / "lua", home / "bridge.so"]
    parts += [home / "lib", home / "python" / "stdlib", home / "python" / "dynload"]
    parts += sorted(path for path in (home / "python" / "site").iterdir() if path.is_dir())
    for part in parts:
        mib = tree_bytes(part.resolve()) / 2**20
        if mib >= 0.1:
            print(f"{part.relative_to(STAGE)!s:52}{mib:8.2f}")
    print(f"{'all':52}{tree_bytes(STAGE) / 2**20:8.2f}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        host_calls(Path(folder))
        throughput(Path(folder))
        cold_start(Path(folder))
        syncing(Path(folder))
        room_lists()
        many(Path(folder))
    history()
    sizes()


if __name__ == "__main__":
    main()
