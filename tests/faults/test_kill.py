"""A host is killed in the middle of its syncs, again and again: nothing is missing at the end.

MATRIX_TEST_KILLS is how often (40), MATRIX_TEST_SEED repeats a run.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.bad_homeserver import ME, ROOM, BadHomeserver, Visit, answer, message, page

KILLS = int(os.environ.get("MATRIX_TEST_KILLS", "40"))
EVENTS = 7
LAST = 1_000_000


class Stream:
    """As many syncs as anybody asks for, each with messages and a new topic; then it ends."""

    def __init__(self) -> None:
        self.pages = LAST

    async def __call__(self, visit: Visit) -> None:
        number = int(visit.query.get("since", "s0")[1:]) + 1
        if number > self.pages:
            await answer({"next_batch": f"s{number - 1}"})(visit)
            return
        first = (number - 1) * EVENTS
        events: list[Any] = [message(first + index) for index in range(EVENTS)]
        topic = {"type": "m.room.topic", "state_key": "", "content": {"topic": f"topic {number}"}}
        events.insert(EVENTS // 2, {**message(0), "event_id": f"$t{number}", **topic})
        await answer(page(number, *events))(visit)


def numbers(text: str) -> list[int]:
    """The messages of which a whole line was printed."""
    lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [int(line[len("message $m") :]) for line in lines if line.startswith("message")]


def run_until_killed(command: list[str], env: dict[str, str], dice: random.Random) -> list[int]:
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        # Sometimes at the start, mostly in the middle of a stream of syncs.
        first = process.stdout.readline() if dice.random() < 0.9 else ""
        time.sleep(dice.random() ** 2 * 0.1)
        process.kill()
        rest = process.stdout.read()
    assert process.returncode == -9, "it ended by itself"
    return numbers(first + rest)


def check_runs(runs: list[list[int]]) -> None:
    """Each goes on where the host has consumed; only whole syncs repeat, and only the last."""
    highest = -1
    for run in runs:
        if not run:
            continue
        assert run == list(range(run[0], run[0] + len(run))), "in order, no gap, no repeat"
        assert run[0] % EVENTS == 0
        assert run[0] <= highest + 1, "something is missing"
        assert run[0] > highest - 2 * EVENTS, "more than what was not consumed came again"
        highest = max(highest, run[-1])


def test_killed_at_random_points(compile_host: Callable[..., Path], tmp_path: Path) -> None:
    seed = int(os.environ.get("MATRIX_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"MATRIX_TEST_SEED={seed} MATRIX_TEST_KILLS={KILLS}")
    dice = random.Random(seed)
    program = compile_host("syncing")
    stream = Stream()
    store = tmp_path / "store"
    client = json.dumps({"store_path": str(store), "user_id": ME})
    with BadHomeserver(stream) as server:
        env = {**os.environ, "MATRIX_HOMESERVER": server.url, "MATRIX_TOKEN": "token"}
        command = [str(program), str(LAST), "{}", client]
        runs = [run_until_killed(command, env, dice) for _ in range(KILLS)]
        highest = max([number for run in runs for number in run], default=-1)
        stream.pages = highest // EVENTS + 5
        command[1] = "0"
        ended = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, timeout=60)
        assert ended.returncode == 0
        runs.append(numbers(ended.stdout))
    check_runs(runs)
    assert runs[-1][-1] == stream.pages * EVENTS - 1
    check_store(store / "libmatrix.sqlite3", stream.pages)


def check_store(path: Path, pages: int) -> None:
    """The token and the state are those of the last sync, and there once."""
    database = sqlite3.connect(path)
    [(token,)] = database.execute("SELECT value FROM meta WHERE key = 'next_batch'")
    events = database.execute("SELECT event FROM state WHERE type = 'm.room.topic'").fetchall()
    rooms = database.execute("SELECT room_id FROM room").fetchall()
    database.close()
    assert bytes(token) == f"s{pages}".encode()
    assert rooms == [(ROOM,)]
    assert [json.loads(event)["content"] for (event,) in events] == [{"topic": f"topic {pages}"}]
