"""The queue of sends, from C, Lua and Fennel, with a homeserver that is there only later."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lua.interpreters import Interpreter
from tests.support.between import LOST, between
from tests.support.client import request
from tests.support.driver import Driver, driver
from tests.support.homeserver import Homeserver
from tests.support.scenario import Scene, in_two_luas, make_scene, play
from tests.support.scripted import Answer, Request
from tests.support.sender import set_back

pytestmark = pytest.mark.homeserver

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@in_two_luas
@pytest.mark.parametrize("script", ["homeserver/lua/sending.lua", "fennel/sending.fnl"])
def test_sending(
    lua: Interpreter, stage: Path, homeserver: Homeserver, tmp_path: Path, script: str
) -> None:
    play(lua, stage, script, make_scene(homeserver).env | {"MATRIX_STORE": str(tmp_path)})


def test_sending_from_c(run_host: Run, homeserver: Homeserver, tmp_path: Path) -> None:
    scene = make_scene(homeserver)
    run_host("sending", env=scene.env | {"MATRIX_STORE": str(tmp_path)})
    assert messages(scene) == ["c0", "c1", "c3", "c4", "c5"]


def messages(scene: Scene) -> list[str]:
    """What is in the room, oldest first."""
    path = f"/_matrix/client/v3/rooms/{scene.room_id}/messages?dir=b&limit=100"
    chunk = request(scene.server.url, "GET", path, scene.bob.token)["chunk"]
    return [e["content"]["body"] for e in reversed(chunk) if e["type"] == "m.room.message"]


# As long as the homeserver is trusted to know a transaction id, and a little more.
FORGOTTEN_MS = 12 * 3_600_000 + 1_000


def test_what_may_have_arrived_long_ago_is_not_sent_again(
    stage: Path, homeserver: Homeserver, tmp_path: Path
) -> None:
    """The homeserver took it, the answer was lost, and the program is back the next day."""
    scene = make_scene(homeserver)
    leave_uncertain(stage, scene, tmp_path)
    set_back(tmp_path, FORGOTTEN_MS)
    with driver(stage, homeserver, scene.alice, tmp_path) as host:
        outcomes = sends_over(host, 2)
        assert outcomes["old"]["state"] == "failed"
        assert outcomes["old"]["failure"]["code"] == "E_SEND_UNCERTAIN"
        assert outcomes["next"]["state"] == "sent"
        assert host.get("client:sends()")["sends"] == []
    assert messages(scene) == ["old", "next"]


def test_what_may_have_arrived_just_now_is_sent_again_and_is_there_once(
    stage: Path, homeserver: Homeserver, tmp_path: Path
) -> None:
    scene = make_scene(homeserver)
    leave_uncertain(stage, scene, tmp_path)
    with driver(stage, homeserver, scene.alice, tmp_path) as host:
        outcomes = sends_over(host, 2)
        assert [each["state"] for each in outcomes.values()] == ["sent", "sent"]
    assert messages(scene) == ["old", "next"]


def test_what_may_have_arrived_and_is_given_up_is_uncertain(
    stage: Path, homeserver: Homeserver, tmp_path: Path
) -> None:
    scene = make_scene(homeserver)
    leave_uncertain(stage, scene, tmp_path)
    nowhere = {"homeserver": "http://127.0.0.1:9"}
    with driver(stage, homeserver, scene.alice, tmp_path, **nowhere) as host:
        host.hear("send")
        for send in reversed(host.get("client:sends()")["sends"]):
            host.get(f"client:cancel_send({send['send_id']})")
        outcomes = sends_over(host, 2)
        assert outcomes["old"]["failure"]["code"] == "E_SEND_UNCERTAIN"
        assert outcomes["next"]["failure"]["code"] == "E_CANCELLED"
    assert messages(scene) == ["old"]


@pytest.mark.parametrize("syncs", [False, True])
def test_what_the_homeserver_fails_at_for_ever_holds_nothing(
    stage: Path, homeserver: Homeserver, syncs: bool
) -> None:
    """It answers 500 to one message alone, which it has taken in truth: a sync would tell."""
    scene = make_scene(homeserver)
    send = "client:send_text(%s, %s, {{ txn_id = '{0}' }}, matrix.ignore) and {{}}"

    def fail(asked: Request, answer: Answer) -> Answer:
        is_it = "/send/" in asked.path and asked.body["body"] == "poison"
        return Answer({"errcode": "M_UNKNOWN", "error": "oh"}, 500) if is_it else answer

    with (
        between(homeserver.url, fail) as failing,
        driver(stage, homeserver, scene.alice, homeserver=failing.url) as host,
    ):
        if syncs:
            host.sync()
        host.hear("send")
        for body in ("poison", "one", "two"):
            host.do(send.format(body), scene.room_id, body)

        def hurried() -> bool:
            host.get("client:retry_sends()")
            return "two" in over(host)

        host.until(hurried)
        if syncs:
            host.sync()
        outcomes = sends_over(host, 3)
        assert outcomes["poison"]["state"] == ("sent" if syncs else "failed")
        if not syncs:
            assert outcomes["poison"]["failure"]["code"] == "E_SEND_UNCERTAIN"
        assert outcomes["one"]["state"] == outcomes["two"]["state"] == "sent"
    assert messages(scene) == ["poison", "one", "two"]


def leave_uncertain(stage: Path, scene: Scene, store: Path) -> None:
    """Of two messages the first gets there, and nobody hears of it."""

    def lose(asked: Request, answer: Answer) -> Answer:
        return LOST if "/send/" in asked.path else answer

    quiet = "client:send_text(%s, %s, {{ txn_id = '{0}' }}, matrix.ignore)"
    with (
        between(scene.server.url, lose) as lossy,
        driver(stage, scene.server, scene.alice, store, homeserver=lossy.url) as host,
    ):
        host.hear("send")
        for body in ("old", "next"):
            host.do(f"{quiet.format(body)} and {{}}", scene.room_id, body)
        host.until(lambda: tried(host))


def tried(host: Driver) -> bool:
    """Whether an attempt came to nothing."""
    return any(event.get("failure") for event in host.heard("send"))


def sends_over(host: Driver, count: int) -> dict[str, dict[str, Any]]:
    """What became of so many sends, by transaction id."""
    if not host.heard("send"):
        host.hear("send")
    host.until(lambda: len(over(host)) == count)
    return over(host)


def over(host: Driver) -> dict[str, dict[str, Any]]:
    """What became of the sends that are over by now, by transaction id."""
    heard = host.heard("send")
    return {each["txn_id"]: each for each in heard if each["state"] in ("sent", "failed")}
