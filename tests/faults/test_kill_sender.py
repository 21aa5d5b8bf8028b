"""A host is killed while it sends, again and again, and its homeserver is a bad one: every message
that was said to be queued arrives, once, and in the order of its room.

MATRIX_TEST_KILLS is how often (40), MATRIX_TEST_SEED repeats a run.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.client import request
from tests.support.dropping_proxy import DroppingProxy
from tests.support.homeserver import Homeserver
from tests.support.scenario import make_scene
from tests.support.send_server import DROP, LOSE, ME, TAKE, Deed, Sending, SendServer, limit

KILLS = int(os.environ.get("MATRIX_TEST_KILLS", "40"))
MESSAGES = 2_000
ROOMS = [f"!{number}:x" for number in range(6)]
# With a real homeserver, which is slower: as many only where there is time, as `make soak` has.
LIVE_KILLS, LIVE_MESSAGES = max(KILLS // 4, 2), 2_000 if KILLS >= 200 else 200
# From the last start until all is settled, whatever the runs before have left behind.
SETTLED_SECONDS = 240


@dataclass
class Story:
    """What the hosts said, all runs together."""

    submitted: list[int] = field(default_factory=list)
    queued: list[int] = field(default_factory=list)
    sent: set[int] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    kills: int = 0
    settled_seconds: float = 0

    def take(self, text: str) -> None:
        """Reads whole lines."""
        for line in text.splitlines(keepends=True):
            if not line.endswith("\n"):
                continue
            what, number, *_ = line.split()
            if what == "submit":
                self.submitted.append(int(number))
            elif what == "queued":
                self.queued.append(int(number))
            elif what == "sent":
                self.sent.add(int(number))
            else:
                self.failed.append(line)

    @property
    def next(self) -> int:
        """The message that was not submitted yet."""
        return len(self.submitted)


def dice_of_this_run() -> random.Random:
    seed = int(os.environ.get("MATRIX_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"MATRIX_TEST_SEED={seed} MATRIX_TEST_KILLS={KILLS}")
    return random.Random(seed)


def run_until_killed(
    command: list[str], env: dict[str, str], dice: random.Random, story: Story, seconds: float
) -> None:
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        # Sometimes at the start, mostly in the middle of it.
        first = process.stdout.readline() if dice.random() < 0.9 else ""
        time.sleep(dice.random() * seconds)
        process.kill()
        story.take(first + process.stdout.read())
    assert process.returncode in (-9, 0)
    story.kills += process.returncode == -9


def kill_and_finish(
    program: Path, env: dict[str, str], store: Path, kills: int, messages: int, seconds: float
) -> Story:
    """Kills it so often, then lets it come to its end. `seconds`: the longest that one may run."""
    dice, story = dice_of_this_run(), Story()
    options = json.dumps({"store_path": str(store), "user_id": env["MATRIX_USER_ID"]})

    def command_until(promised: int, least: int = 1) -> list[str]:
        last = story.next + max(promised - len(story.queued), least)
        return [str(program), str(story.next), str(last), options]

    longest = seconds
    for _ in range(3 * kills):
        killed = story.kills
        if killed == kills:
            break
        command = command_until(messages * (killed + 1) // (kills + 1), messages // (kills + 1))
        run_until_killed(command, env, dice, story, longest)
        # On a quick machine one may come to its end before it is killed.
        longest = min(longest * 1.5, seconds) if story.kills > killed else longest / 2
    began = time.monotonic()
    ended = subprocess.run(
        command_until(messages),
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        timeout=SETTLED_SECONDS,
    )
    assert ended.returncode == 0, ended.stdout[-500:]
    story.settled_seconds = time.monotonic() - began
    story.take(ended.stdout)
    return story


def check(story: Story, rooms: list[list[int]]) -> None:
    """What each room holds, against what was promised."""
    assert story.failed == []
    assert story.submitted == list(range(len(story.submitted)))
    arrived: list[int] = []
    for room in rooms:
        assert room == sorted(set(room)), "in order, and each once"
        arrived += room
    assert sorted(set(story.queued) - set(arrived)) == [], "promised, and lost"
    assert story.sent <= set(arrived)


def test_queued_survives_a_kill(compile_host: Callable[..., Path], tmp_path: Path) -> None:
    dice = random.Random(1)

    def deed(_: Sending) -> Deed:
        chance = dice.random()
        if chance < 0.1:
            return DROP if chance < 0.05 else LOSE
        return limit(dice.randint(1, 5)) if chance < 0.3 else TAKE

    with SendServer(deed) as server:
        env = {**os.environ, "MATRIX_HOMESERVER": server.url, "MATRIX_TOKEN": "token"}
        env |= {"MATRIX_ROOMS": ",".join(ROOMS), "MATRIX_USER_ID": ME}
        program = compile_host("killed_sender")
        story = kill_and_finish(program, env, tmp_path, KILLS, MESSAGES, 0.25)
        check(story, [[int(body) for body in server.bodies(room)] for room in ROOMS])
        print(figures(story, len(server.taken)), f"{len(server.sendings)} attempts")
        assert len(server.taken) >= MESSAGES


def figures(story: Story, arrived: int) -> str:
    """One line about a run, for who reads the output of `make soak`."""
    parts = [f"{story.kills} kills", f"{len(story.queued)} promised"]
    parts += [f"{arrived} of {story.next} arrived", f"settled in {story.settled_seconds:.1f} s"]
    return ", ".join(parts)


@pytest.fixture
def proxy(homeserver: Homeserver) -> Iterator[DroppingProxy]:
    with DroppingProxy(homeserver.url, drop=0.1) as running:
        yield running


@pytest.mark.homeserver
def test_queued_survives_a_kill_before_synapse(
    compile_host: Callable[..., Path],
    homeserver: Homeserver,
    proxy: DroppingProxy,
    tmp_path: Path,
) -> None:
    scenes = [make_scene(homeserver)]
    alice, bob = scenes[0].alice, scenes[0].bob
    rooms = [scenes[0].room_id]
    for _ in range(2):
        body = {"invite": [bob.user_id]}
        path = "/_matrix/client/v3/createRoom"
        rooms.append(request(homeserver.url, "POST", path, alice.token, body)["room_id"])
    env = {**os.environ, "MATRIX_HOMESERVER": proxy.url, "MATRIX_TOKEN": alice.token}
    env |= {"MATRIX_ROOMS": ",".join(rooms), "MATRIX_USER_ID": alice.user_id}
    program = compile_host("killed_sender")
    story = kill_and_finish(program, env, tmp_path, LIVE_KILLS, LIVE_MESSAGES, 1.5)
    arrived = [numbers(homeserver.url, alice.token, room) for room in rooms]
    check(story, arrived)
    print(figures(story, sum(map(len, arrived))), f"{proxy.dropped} connections dropped")
    assert story.kills > LIVE_KILLS // 2
    assert sum(map(len, arrived)) >= LIVE_MESSAGES
    assert proxy.dropped > 0


def numbers(url: str, token: str, room_id: str) -> list[int]:
    """The messages of a room, oldest first."""
    path = f"/_matrix/client/v3/rooms/{room_id}/messages?dir=b&limit=1000"
    page = request(url, "GET", path, token)
    events = page["chunk"]
    while "end" in page and page["chunk"]:
        page = request(url, "GET", f"{path}&from={page['end']}", token)
        events += page["chunk"]
    bodies = [e["content"]["body"] for e in reversed(events) if e["type"] == "m.room.message"]
    return [int(body) for body in bodies]
