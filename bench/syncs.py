"""Tables about syncs, beside others: how fast, how large, and what the host's thread pays."""

from __future__ import annotations

from pathlib import Path

from bench.fixture import Fixture
from bench.sync_fixture import (
    BIG_EVENTS,
    BIG_ROOMS,
    STREAM_TOTAL,
    SyncFixture,
    big,
    stream,
)
from bench.tables import (
    PYTHON,
    ROOT,
    RUNS,
    SYNC_RUNS,
    Command,
    Row,
    bot_sdk,
    build,
    heading,
    in_turns,
    lines,
    lua,
    nio,
    rust_sdk,
    show_percentiles,
    timed,
)

BIG_TOTAL = BIG_ROOMS * BIG_EVENTS


def cold_start(folder: Path) -> None:
    """From the start of a process to what it is for."""
    program = build("cold_start", folder)
    for until, what in (("login", "logged in"), ("sync", "its first sync delivered")):
        heading(f"process start to {what} (medians of {RUNS}, turn by turn)")
        with Fixture() as server:
            url = server.url
            timed([program, url, until])
            commands: dict[str, list[Command]] = {
                "libmatrix": [[program, url, until]],
                "nio": nio("nio_start.py", url, until),
                "bot-sdk": bot_sdk(url, until),
                "rust-sdk": rust_sdk(url, until),
            }
            found = in_turns(commands, RUNS, timed)
        print(f"{'':12}{'seconds':>9}{'ratio':>8}{'MiB':>8}")
        ours = found["libmatrix"]["seconds"]
        for label, row in found.items():
            seconds = row["seconds"]
            print(f"{label:12}{seconds:9.3f}{ours / seconds:8.2f}{row['mib']:8.1f}")


def syncing(folder: Path) -> None:
    """Initial and incremental syncs: ours with its store, others, and the floor."""
    program = build("syncing", folder)
    for name, bodies, events in (("big", big(), BIG_TOTAL), ("stream", stream(), STREAM_TOTAL)):
        size = sum(map(len, bodies)) / 1e6
        heading(f"{name}: {events} events in {size:.1f} MB (medians of {SYNC_RUNS}, turn by turn)")
        stores = iter(range(1_000))

        def run(command: Command) -> Row:
            """Each with a store of its own."""
            store = folder / f"{name}{next(stores)}"  # noqa: B023
            [row] = lines([store if part == "STORE" else part for part in command])
            return row

        with SyncFixture(bodies) as server:
            url = server.url
            commands: dict[str, list[Command]] = {
                "floor": [[PYTHON, ROOT / "bench" / "floor_sync.py", url, events]],
                "bot-sdk": bot_sdk(url, events),
                "C": [[program, url, "STORE", events]],
                "Lua 5.4": [lua("lua5.4", "syncing.lua", url, "STORE", events)],
                "LuaJIT": [lua("luajit", "syncing.lua", url, "STORE", events)],
                "nio": nio("nio_sync.py", url, events),
                "rust-sdk": rust_sdk(url, len(bodies), "STORE"),
            }
            show_syncing(in_turns(commands, SYNC_RUNS, run), events)


def show_syncing(found: dict[str, dict[str, float]], events: int) -> None:
    """How many times as fast as the others each is."""
    others = [label for label in ("floor", "bot-sdk", "nio") if label in found]
    columns = "".join(f"{'of ' + label:>12}" for label in others)
    print(f"{'':12}{'seconds':>9}{'events/s':>12}{columns}{'MiB':>8}")
    for label, row in found.items():
        seconds = row["seconds"]
        ratios = "".join(f"{found[other]['seconds'] / seconds:12.3f}" for other in others)
        print(f"{label:12}{seconds:9.3f}{events / seconds:12,.0f}{ratios}{row['mib']:8.1f}")


def host_calls_during_big(folder: Path) -> None:
    """What calls cost a host while the runtime takes a large sync apart."""
    program = build("sync_calls", folder)
    heading("host calls during big (us; calls by turns with the control, two looks at the clock)")
    with SyncFixture(big()) as server:
        show_percentiles(lines([program, server.url, BIG_TOTAL]))
