"""Prints the benchmark tables: `python -m bench`. Only ratios within one run count.

It needs build/stage, a C compiler, and for the comparison a Python with matrix-nio (the one the
variable MATRIX_NIO_PYTHON names) and matrix-bot-sdk in build/peers; `make bench` sets them up.
"""

from __future__ import annotations

import os
import statistics
import sysconfig
import tempfile
from pathlib import Path

from bench import encryption
from bench.history_fixture import EVENTS as HISTORY_EVENTS
from bench.history_fixture import ROOM, HistoryFixture
from bench.idle_fixture import IdleFixture
from bench.sending import sending
from bench.sync_fixture import LISTED_ROOMS, SyncFixture, many_rooms
from bench.syncs import cold_start, host_calls_during_big, syncing
from bench.tables import ROOT, STAGE, SYNC_RUNS, Row, build, heading, lines, show_percentiles
from tests.support import certificates

MANY, MANY_ROOMS = 500, 5


def host_calls(folder: Path) -> None:
    program = build("host_calls", folder)
    for title, busy_ms in (("runtime idle", 0), ("runtime holds Python's lock", 2000)):
        heading(f"host calls, {title} (us, 10,000 samples each)")
        show_percentiles(lines([program, 10000, busy_ms]))


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


def many(folder: Path) -> None:
    """What each of many idle clients costs, with and without TLS."""
    heading(f"{MANY} clients, {MANY_ROOMS} rooms each, that wait for news (each beyond the first)")
    program = build("many", folder)
    made = certificates.make(folder)
    print(f"{'':12}{'KiB':>9}{'files':>9}{'s until all sync':>19}")
    for label, context, words in (("http", None, ()), ("https", made.server(), (made.ca,))):
        with IdleFixture(MANY_ROOMS, context) as server:
            [row] = lines([program, server.url, folder / f"many-{label}", MANY, *words])
        print(f"{label:12}{row['kib']:9}{row['files']:9}{row['seconds']:19}")


def room_lists() -> None:
    """The list of rooms into Lua, and what a JSON library takes for its text alone."""
    heading(f"rooms, {LISTED_ROOMS:,} of them, into a table")
    print(f"{'':12}{'rooms ms':>10}{'cjson ms':>10}{'ratio':>8}{'MB':>8}")
    script = ROOT / "bench" / "rooms.lua"
    with SyncFixture(many_rooms()) as server:
        for program, abi in (("lua5.4", "5.4"), ("luajit", "5.1")):
            cjson = f"{sysconfig.get_config_var('MULTIARCH')}/lua/{abi}/?.so"
            path = {"LUA_CPATH": f"{STAGE}/lib/lua/{abi}/?.so;/usr/lib/{cjson}"}
            [row] = lines([program, script, server.url, LISTED_ROOMS], env=path)
            ours, theirs = float(str(row["rooms_ms"])), float(str(row["cjson_ms"]))
            size = int(str(row["bytes"])) / 1e6
            print(f"{program:12}{ours:10.1f}{theirs:10.1f}{ours / theirs:8.2f}{size:8.1f}")


def history() -> None:
    """A room's history into Lua tables beside nio's room_messages, turn by turn."""
    heading(f"history: {HISTORY_EVENTS:,} events (medians of {SYNC_RUNS})")
    script, peer = ROOT / "bench" / "history.lua", ROOT / "bench" / "nio_history.py"
    nio = os.environ.get("MATRIX_NIO_PYTHON")
    rows: dict[str, list[Row]] = {}
    with HistoryFixture() as server:
        url = server.url
        commands: dict[str, list[object]] = {}
        for name, abi in (("lua5.4", "5.4"), ("luajit", "5.1")):
            path = f"LUA_CPATH={STAGE}/lib/lua/{abi}/?.so"
            commands[name] = ["env", path, name, script, url, ROOM, HISTORY_EVENTS]
        for size in (100, 1000) if nio else ():
            commands[f"nio, {size} each"] = [nio, peer, url, ROOM, size, HISTORY_EVENTS]
        for _ in range(SYNC_RUNS):
            for label, command in commands.items():
                rows.setdefault(label, []).extend(lines(command))
    show_history(rows)


def show_history(rows: dict[str, list[Row]]) -> None:
    """With the ratios to the quicker way of nio, where it ran."""

    def column(key: str) -> dict[str, float]:
        return {
            label: statistics.median(float(str(row[key])) for row in each)
            for label, each in rows.items()
        }

    seconds, cpu = column("seconds"), column("cpu")
    print(f"{'':18}{'seconds':>9}{'of nio':>8}{'CPU s':>9}{'of nio':>8}{'events/s':>12}")
    for label in rows:
        line = f"{label:18}"
        for found in (seconds, cpu):
            peers = [value for name, value in found.items() if name.startswith("nio")]
            ratio = f"{min(peers) / found[label]:8.1f}" if peers else f"{'':8}"
            line += f"{found[label]:9.3f}{ratio}"
        print(f"{line}{HISTORY_EVENTS / seconds[label]:12,.0f}")


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
        host_calls_during_big(Path(folder))
        room_lists()
        many(Path(folder))
        sending(Path(folder))
        encryption.measure(build("encrypted", Path(folder)), Path(folder), SYNC_RUNS, lines)
    history()
    sizes()


if __name__ == "__main__":
    main()
