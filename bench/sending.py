"""Messages a second, beside what other libraries reach: `python -m bench.sending`.

Ours keeps each message in its store before it is tried; the others keep nothing. All send the same
content, as the specification wants it: Synapse takes longer for a message with `m.mentions`.

One by one: the program waits for each answer. In order: it gives all messages of a room at once,
and they go one after the other; the others have no queue that would see to the order, so theirs is
the program that waits. Parallel: the same in all rooms, in each one after the other.

On two processors a server that answers at once measures above all how long an idle processor takes
to wake: for a program that waits four times a message with a host's thread and a runtime's, twice
with one thread. So there is a table with a processor for the server and another for the client, and
one without.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.send_fixture import ROOMS, SendFixture, room_id
from bench.tables import PEERS, ROOT, SYNC_RUNS, Command, build, heading, lines
from tests.support.homeserver import Homeserver, homeserver

FIXTURE_COUNT, LIVE_COUNT = 2000, 192
KINDS = ("one by one", "in order", "parallel")


def sending(folder: Path) -> None:
    """Against a server that takes all at once, and against Synapse."""
    program = build("sending", folder)
    client, *others = sorted(os.sched_getaffinity(0))
    if others:
        what = "a server that answers at once, each on a processor of its own"
        _with_fixture(what, program, folder / "pinned", {others[0]}, client)
    _with_fixture("a server that answers at once", program, folder / "free")
    with homeserver() as server:
        _with_synapse(program, folder / "synapse", server)


def _with_fixture(
    what: str,
    program: Path,
    folder: Path,
    processors: set[int] | None = None,
    processor: int | None = None,
) -> None:
    with SendFixture(processors) as url:
        rooms = [room_id(number) for number in range(ROOMS)]
        env = {"MATRIX_TOKEN": "token", "MATRIX_USER_ID": "@bench:localhost"}
        pin = [] if processor is None else ["taskset", "--cpu-list", processor]

        def commands(run: int) -> dict[str, Command]:
            found = _commands(program, folder / str(run), url, FIXTURE_COUNT, rooms)
            return {name: [*pin, *command] for name, command in found.items()}

        _compare(what, commands, env)


def _with_synapse(program: Path, folder: Path, server: Homeserver) -> None:
    account = server.account()
    rooms = [server.create_room(account) for _ in range(ROOMS)]
    env = {"MATRIX_TOKEN": account.token, "MATRIX_USER_ID": account.user_id}

    def commands(run: int) -> dict[str, Command]:
        return _commands(program, folder / str(run), server.url, LIVE_COUNT, rooms)

    _compare("Synapse", commands, env)


def _commands(
    program: Path, store: Path, url: str, count: int, rooms: list[str]
) -> dict[str, Command]:
    """Ours, and the others where they are installed."""
    found: dict[str, Command] = {"libmatrix": [program, url, store, count, *rooms]}
    nio = os.environ.get("MATRIX_NIO_PYTHON")
    if nio:
        found["matrix-nio"] = [nio, ROOT / "bench" / "nio_send.py", url, count, *rooms]
    if (PEERS / "node").exists():
        node = ["env", f"NODE_PATH={PEERS / 'node_modules'}", PEERS / "node"]
        for name, script in (("matrix-bot-sdk", "bot_send.mjs"), ("matrix-js-sdk", "js_send.mjs")):
            found[name] = [*node, ROOT / "bench" / script, url, count, *rooms]
    return found


def _compare(
    what: str,
    commands: Callable[[int], dict[str, Command]],
    env: dict[str, str],
) -> None:
    heading(f"sends to {what}, {ROOMS} rooms ({SYNC_RUNS} rounds, medians)")
    speeds: dict[str, dict[str, list[float]]] = {}
    # The first round warms the server and does not count.
    for run in range(SYNC_RUNS + 1):
        turn = commands(run)
        # Nobody is always first.
        for label in turn if run % 2 == 0 else reversed(turn):
            for row in lines(turn[label], env):
                kinds = speeds.setdefault(label, {})
                kinds.setdefault(str(row["name"]), []).append(float(str(row["per_second"])))
    _show({label: _measured(speeds[label]) for label in turn})


def _measured(speeds: dict[str, list[float]]) -> dict[str, list[float]]:
    """By the kinds of the table, without the first round."""
    by_kind = {kind: speeds.get(kind, speeds["one by one"]) for kind in KINDS}
    return {kind: found[1:] for kind, found in by_kind.items()}


def _show(speeds: dict[str, dict[str, list[float]]]) -> None:
    """The ratios are those of each round, not of the medians: a busy machine drifts."""
    print(f"{'':16}" + "".join(f"{kind + ' /s':>16}{'ours/it':>9}" for kind in KINDS))
    for label, found in speeds.items():
        line = f"{label:16}"
        for kind in KINDS:
            pairs = zip(speeds["libmatrix"][kind], found[kind], strict=True)
            ratio = statistics.median(ours / its for ours, its in pairs)
            line += f"{statistics.median(found[kind]):16,.0f}{ratio:9.2f}"
        print(line)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sending(Path(folder))


if __name__ == "__main__":
    main()
