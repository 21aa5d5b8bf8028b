"""Two hosts talk encrypted with a foreign client and are killed again and again.

Every event is read by all three, and no index is used twice.

MATRIX_TEST_KILLS is how often (40), MATRIX_TEST_SEED repeats a run.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from vodozemac import MegolmMessage

from tests.lua.interpreters import INTERPRETERS, Interpreter, environment
from tests.support.foreign import ForeignClient
from tests.support.homeserver import Account, Homeserver

pytestmark = pytest.mark.homeserver
KILLS = int(os.environ.get("MATRIX_TEST_KILLS", "40"))
SCRIPT = Path(__file__).parent / "lua" / "chatting.lua"
LUA_5_4 = next(lua for lua in INTERPRETERS if lua.name == "lua5.4")
SECONDS = 60.0


class Chatter:
    """One user's host, started again after each kill; everything it ever printed."""

    def __init__(self, lua: Interpreter, stage: Path, out: Path, **env: str) -> None:
        self._command = [lua.program, str(SCRIPT)]
        self._env = environment(stage, lua.abi) | env
        self._out = out
        self._process: subprocess.Popen[bytes] | None = None
        self._before = 0

    def start(self, **more: str) -> None:
        """Starts it."""
        self._before = len(self.lines())
        with self._out.open("ab") as out:
            self._process = subprocess.Popen(
                self._command, env=self._env | more, stdout=out, stderr=subprocess.STDOUT
            )

    def wait_ready(self) -> None:
        """Waits until it talks, so that not all kills hit the start."""
        end = time.monotonic() + SECONDS
        while ["ready"] not in self.lines()[self._before :]:
            assert self._process is not None and self._process.poll() is None, self.lines()[-5:]
            assert time.monotonic() < end, self.lines()[-5:]
            time.sleep(0.02)

    def kill(self) -> None:
        """Kills it as the kernel does when memory is short."""
        assert self._process is not None
        assert self._process.poll() is None, self.lines()[-5:]
        self._process.kill()
        self._process.wait()
        # What the kill cut off begins no line of the next run.
        with self._out.open("ab") as out:
            out.write(b"\n")

    def finish(self) -> None:
        """Waits for its own end."""
        assert self._process is not None
        assert self._process.wait(SECONDS) == 0, self.lines()[-5:]

    def lines(self) -> list[list[str]]:
        """All whole lines, as words."""
        text = self._out.read_text(errors="replace") if self._out.exists() else ""
        return [line.split() for line in text.splitlines() if line]


def timeline(homeserver: Homeserver, account: Account, room_id: str) -> list[dict[str, Any]]:
    """All encrypted events of the room."""
    found: list[dict[str, Any]] = []
    path, token = f"/_matrix/client/v3/rooms/{quote(room_id)}/messages?dir=b&limit=500", ""
    while True:
        page = homeserver.request("GET", path + token, account.token)
        found += [event for event in page["chunk"] if event["type"] == "m.room.encrypted"]
        if "end" not in page:
            return found
        token = f"&from={quote(page['end'])}"


def test_killed_while_talking(
    homeserver: Homeserver,
    foreign_client: Callable[..., ForeignClient],
    stage: Path,
    tmp_path: Path,
) -> None:
    seed = int(os.environ.get("MATRIX_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"MATRIX_TEST_SEED={seed} MATRIX_TEST_KILLS={KILLS}")
    dice = random.Random(seed)
    accounts = [homeserver.account() for _ in range(2)]
    theirs = foreign_client(homeserver.account())
    invited = [accounts[1].user_id, theirs.user_id]
    room_id = homeserver.create_room(accounts[0], invite=invited)
    homeserver.join(accounts[1], room_id)
    theirs.join(room_id=room_id)
    chatters = [
        Chatter(
            LUA_5_4,
            stage,
            tmp_path / f"{number}.txt",
            MATRIX_HOMESERVER=homeserver.url,
            MATRIX_USER=account.user,
            MATRIX_PASSWORD=account.password,
            MATRIX_ROOM=room_id,
            MATRIX_STORE=str(tmp_path / f"store{number}"),
        )
        for number, account in enumerate(accounts)
    ]
    for chatter in chatters:
        # Once with its keys at the homeserver before there is anything to read.
        chatter.start()
        chatter.wait_ready()
        chatter.kill()
    settings = {"algorithm": "m.megolm.v1.aes-sha2", "rotation_period_msgs": 5}
    path = f"/_matrix/client/v3/rooms/{quote(room_id)}/state/m.room.encryption/"
    homeserver.request("PUT", path, accounts[0].token, settings)
    theirs.until(bool, "is_encrypted", room_id=room_id)
    for chatter in chatters:
        chatter.start()
    for number in range(KILLS):
        chatter = dice.choice(chatters)
        if dice.random() < 0.3:
            theirs.send(room_id=room_id, body=f"foreign {number}")
        if dice.random() < 0.8:
            chatter.wait_ready()
        time.sleep(dice.random() ** 2 * 0.3)
        chatter.kill()
        chatter.start()
    for chatter in chatters:
        chatter.wait_ready()
        chatter.kill()
    events = timeline(homeserver, accounts[0], room_id)
    last_id = homeserver.send(accounts[0], room_id, "x.over", {})
    for chatter in chatters:
        chatter.start(MATRIX_UNTIL=last_id)
        chatter.finish()
        check_heard(chatter, events)
    check_indices(events)
    check_foreign(theirs, room_id, events)
    print(json.dumps({"events": len(events), "kills": KILLS}))


def check_heard(chatter: Chatter, events: list[dict[str, Any]]) -> None:
    """Every event was read at last, and nothing went wrong that a crash may not explain."""
    lines = chatter.lines()
    heard = {line[1] for line in lines if line[0] == "heard" and line[2:] == ["true"]}
    missing = [event for event in events if event["event_id"] not in heard]
    why = [line for line in lines if line[0] in ("lost", "log", "unsent", "unsynced")]
    assert not missing, (len(missing), len(events), missing[:2], why[-20:])
    assert not [line for line in why if "already" in " ".join(line)], why


def check_foreign(theirs: ForeignClient, room_id: str, events: list[dict[str, Any]]) -> None:
    """The foreign client could read all of it, too."""
    wanted = {event["event_id"] for event in events}

    def read(found: list[dict[str, Any]]) -> bool:
        return wanted <= {each["event_id"] for each in found if each["type"] == "m.room.message"}

    while not wanted <= {each["event_id"] for each in theirs.messages(room_id=room_id)}:
        theirs.paginate(room_id=room_id)
    theirs.until(read, "messages", room_id=room_id)


def check_indices(events: list[dict[str, Any]]) -> None:
    """No session was used twice at an index."""
    used: dict[tuple[str, int], str] = {}
    for event in events:
        content = event["content"]
        index = MegolmMessage.from_base64(content["ciphertext"]).message_index()
        place = (content["session_id"], index)
        assert used.setdefault(place, event["event_id"]) == event["event_id"], place
    assert len(used) == len(events) > 0
