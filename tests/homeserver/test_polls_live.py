"""Polls from C, Lua and Fennel against a real homeserver."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from libmatrix.messages.content import reference
from libmatrix.messages.poll_content import END_TYPE, RESPONSE_TYPE, end, response
from tests.lua.interpreters import Interpreter
from tests.support.encrypted import Talker, encrypted_room
from tests.support.homeserver import Homeserver
from tests.support.runtime_host import RuntimeHost
from tests.support.scenario import LUA_5_4, in_two_luas, make_scene, play

pytestmark = pytest.mark.homeserver

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@in_two_luas
@pytest.mark.parametrize("script", ["homeserver/lua/polls.lua", "fennel/polls.fnl"])
def test_polls(lua: Interpreter, stage: Path, homeserver: Homeserver, script: str) -> None:
    play(lua, stage, script, make_scene(homeserver).env)


def test_where_messages_are_encrypted(stage: Path, homeserver: Homeserver) -> None:
    play(LUA_5_4, stage, "homeserver/lua/sealed_messages.lua", make_scene(homeserver).env)


def test_polls_from_c(run_host: Run, homeserver: Homeserver) -> None:
    run_host("polls", env=make_scene(homeserver).env)


def test_votes_and_ends_in_clear_do_not_count_where_messages_are_encrypted(
    host: RuntimeHost, homeserver: Homeserver
) -> None:
    """A homeserver can make them up in anybody's name."""
    alice, bob = (Talker(host, homeserver, homeserver.account()) for _ in range(2))
    room_id = encrypted_room(homeserver, alice, bob)
    poll = {"room_id": room_id, "question": "Tea?", "answers": ["green", "black"]}
    event_id = alice.call("start_poll", **poll)["event_id"]
    bob.wait_event(lambda event: event["event_id"] == event_id)
    bob.call("answer_poll", room_id=room_id, event_id=event_id, answer_ids=["1"])
    for sender, kind, content in (
        (bob, RESPONSE_TYPE, response(["2"])),
        (alice, RESPONSE_TYPE, response(["2"])),
        (alice, END_TYPE, end("over")),
    ):
        reference(content, event_id)
        homeserver.send(sender.account, room_id, kind, content)
    alice.wait_event(lambda event: event["type"] == END_TYPE)
    results = alice.call("poll_results", room_id=room_id, event_id=event_id)
    assert [answer["user_ids"] for answer in results["answers"]] == [[bob.user_id], []]
    assert not results["is_ended"] and results["undecrypted_count"] == 0
