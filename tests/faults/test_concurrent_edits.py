"""Two clients that edit, react to and redact the same message at once."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.driver import Driver, driver
from tests.support.homeserver import Homeserver
from tests.support.scenario import Scene, make_scene

pytestmark = pytest.mark.homeserver

EDITS = 12


def edits(host: Driver, room_id: str, event_id: str, name: str) -> list[str]:
    """Edits again and again; the ids of what was made."""
    edit = "client:edit_message(%s, %s, %s)"
    texts = (f"{name} {number}" for number in range(EDITS))
    return [host.get(edit, room_id, event_id, text)["event_id"] for text in texts]


def redact_half(host: Driver, room_id: str, event_ids: list[str]) -> list[str]:
    """Redacts some of the edits while others come."""
    chosen = random.Random(7).sample(event_ids, len(event_ids) // 2)
    for event_id in chosen:
        host.get("client:redact(%s, %s)", room_id, event_id)
    return chosen


def current(host: Driver, scene: Scene, event_id: str) -> tuple[str, list[dict[str, Any]]]:
    """What a message says now, and its edits."""
    found = host.get("client:edit_history(%s, %s)", scene.room_id, event_id)
    said = found["edits"][-1]["new_body"] if found["edits"] else found["event"]["body"]
    return said, found["edits"]


def test_two_devices_edit_one_message(stage: Path, homeserver: Homeserver, tmp_path: Path) -> None:
    """Both edit, one redacts edits of both: all agree on the newest that is left."""
    scene = make_scene(homeserver)
    other = homeserver.login(scene.alice.user, scene.alice.password)
    with (
        driver(stage, homeserver, scene.alice) as first,
        driver(stage, homeserver, other) as second,
        driver(stage, homeserver, scene.bob) as reader,
        ThreadPoolExecutor(3) as pool,
    ):
        event_id = first.get("client:send_text(%s, 'zero')", scene.room_id)["event_id"]
        early = edits(first, scene.room_id, event_id, "early")
        one = pool.submit(edits, first, scene.room_id, event_id, "one")
        two = pool.submit(redact_half, second, scene.room_id, early)
        made, gone = one.result(), two.result()
        seen = [current(host, scene, event_id) for host in (first, second, reader)]
        assert seen[0][0] == seen[1][0] == seen[2][0] == f"one {EDITS - 1}"
        left = {edit["event_id"] for edit in seen[2][1]}
        assert left == (set(early) - set(gone)) | set(made)
        # The newest goes: the one before it is what the message says.
        second.get("client:redact(%s, %s)", scene.room_id, made[-1])
        assert current(reader, scene, event_id)[0] == f"one {EDITS - 2}"


def test_edits_of_a_message_that_is_redacted(stage: Path, homeserver: Homeserver) -> None:
    """A moderator redacts while its author edits: nothing is left of it, and no error is ours."""
    scene = make_scene(homeserver)
    with (
        driver(stage, homeserver, scene.bob) as author,
        driver(stage, homeserver, scene.alice) as moderator,
        ThreadPoolExecutor(2) as pool,
    ):
        event_id = author.get("client:send_text(%s, 'zero')", scene.room_id)["event_id"]
        editing = pool.submit(edits, author, scene.room_id, event_id, "late")
        redacting = pool.submit(
            moderator.get, "client:redact(%s, %s, { reason = 'spam' })", scene.room_id, event_id
        )
        assert len(editing.result()) == EDITS and redacting.result()["event_id"]
        fetched = moderator.get("client:fetch_event(%s, %s)", scene.room_id, event_id)["event"]
        assert fetched["is_redacted"] and fetched["content"] == {}
        # Nobody who has not sent it just now can edit it any more.
    with driver(stage, homeserver, scene.bob) as later:
        refused = later.do("client:edit_message(%s, %s, 'x')", scene.room_id, event_id)
        assert refused["error"]["code"] == "E_INVALID_ARGUMENT"


def test_the_same_reaction_from_two_devices(stage: Path, homeserver: Homeserver) -> None:
    """One of them is told that it is there already."""
    scene = make_scene(homeserver)
    other = homeserver.login(scene.bob.user, scene.bob.password)
    with (
        driver(stage, homeserver, scene.bob) as first,
        driver(stage, homeserver, other) as second,
        ThreadPoolExecutor(2) as pool,
    ):
        event_id = homeserver.send(
            scene.alice, scene.room_id, "m.room.message", {"msgtype": "m.text", "body": "x"}
        )
        react = "client:send_reaction(%s, %s, %s)"
        for number in range(10):
            key = f"key {number}"
            answers = [
                pool.submit(host.do, react, scene.room_id, event_id, key)
                for host in (first, second)
            ]
            outcome = [answer.result() for answer in answers]
            codes = [each["error"]["code"] for each in outcome if not each["ok"]]
            assert codes in ([], ["M_DUPLICATE_ANNOTATION"])
        relation = "client:relations(%s, %s, { rel_type = 'm.annotation' })"
        found = first.get(relation, scene.room_id, event_id)["events"]
        assert {event["reaction_key"] for event in found} == {f"key {n}" for n in range(10)}
