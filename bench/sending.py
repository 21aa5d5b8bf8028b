"""Messages a second, beside what other libraries reach: `python -m bench.sending`.

Ours keeps each message in its store before it is tried; the others keep nothing.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path

from bench.send_fixture import ROOMS, SendFixture, room_id
from bench.tables import ROOT, SYNC_RUNS, build, heading, lines
from tests.support.homeserver import Homeserver, homeserver

PEERS = ROOT / "build" / "peers"
FIXTURE_COUNT, LIVE_COUNT = 2000, 96

Command = list[object]


def sending(folder: Path) -> None:
    """Against a server that takes all at once, and against Synapse."""
    program = build("sending", folder)
    with SendFixture() as url:
        rooms = [room_id(number) for number in range(ROOMS)]
        env = {"MATRIX_TOKEN": "token", "MATRIX_USER_ID": "@bench:localhost"}
        _compare("a server that answers at once", program, folder, url, FIXTURE_COUNT, rooms, env)
    with homeserver() as server:
        _with_synapse(program, folder, server)


def _with_synapse(program: Path, folder: Path, server: Homeserver) -> None:
    account = server.account()
    rooms = [server.create_room(account) for _ in range(ROOMS)]
    env = {"MATRIX_TOKEN": account.token, "MATRIX_USER_ID": account.user_id}
    _compare("Synapse", program, folder, server.url, LIVE_COUNT, rooms, env)


def _commands(url: str, count: int, rooms: list[str]) -> dict[str, Command]:
    """The others, where they are installed."""
    found: dict[str, Command] = {}
    nio = os.environ.get("MATRIX_NIO_PYTHON")
    if nio:
        found["matrix-nio"] = [nio, ROOT / "bench" / "nio_send.py", url, count, *rooms]
    if (PEERS / "node").exists():
        node: Command = ["env", f"NODE_PATH={PEERS / 'node_modules'}", PEERS / "node"]
        for name, script in (("matrix-bot-sdk", "bot_send.js"), ("matrix-js-sdk", "js_send.mjs")):
            found[name] = [*node, ROOT / "bench" / script, url, count, *rooms]
    return found


def _compare(
    what: str,
    program: Path,
    folder: Path,
    url: str,
    count: int,
    rooms: list[str],
    env: dict[str, str],
) -> None:
    heading(f"sends to {what}, {ROOMS} rooms ({SYNC_RUNS} rounds, medians)")
    speeds: dict[str, dict[str, list[float]]] = {}
    for run in range(SYNC_RUNS):
        store = folder / f"{what.split()[-1]}{run}"
        commands: dict[str, Command] = {"libmatrix": [program, url, store, count, *rooms]}
        commands |= _commands(url, count, rooms)
        for label, command in commands.items():
            for row in lines(command, env):
                kinds = speeds.setdefault(label, {})
                kinds.setdefault(str(row["name"]), []).append(float(str(row["per_second"])))
    _show(speeds)


def _show(speeds: dict[str, dict[str, list[float]]]) -> None:
    """The ratios are those of each round, not of the medians: a busy machine drifts."""
    kinds = ("sequential", "parallel")
    print(f"{'':16}" + "".join(f"{kind + ' /s':>16}{'ours/it':>9}" for kind in kinds))
    for label, found in speeds.items():
        line = f"{label:16}"
        for kind in kinds:
            pairs = zip(speeds["libmatrix"][kind], found[kind], strict=True)
            ratio = statistics.median(ours / its for ours, its in pairs)
            line += f"{statistics.median(found[kind]):16,.0f}{ratio:9.2f}"
        print(line)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sending(Path(folder))


if __name__ == "__main__":
    main()
