"""Power levels by the specification's rules."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from libmatrix.rooms.level_changes import may_set_levels
from libmatrix.rooms.permissions import Permissions, _decode
from libmatrix.rooms.room import creators_of, has_creator_power

A, B, C = "@a:x", "@b:x", "@c:x"


def rules(version: str, levels: dict[str, Any] | None, *creators: str) -> Permissions:
    raw = None if levels is None else _decode(msgspec.Raw(msgspec.json.encode(levels)))
    return Permissions(list(creators or (A,)), version, raw)


def test_without_power_levels_the_creator_has_100() -> None:
    found = rules("10", None)
    assert (found.level(A), found.level(B)) == (100, 0)
    assert found.to_send("m.room.topic", is_state=True) == 50
    assert found.to_send("m.room.message", is_state=False) == 0
    actions = ("invite", "kick", "ban", "unban", "redact", "notify_room")
    assert [found.to_do(action) for action in actions] == [
        0, 50, 50, 50, 50, 50,
    ]  # fmt: skip


def test_creators_stand_above_all_from_version_12_on() -> None:
    found = rules("12", {"users": {A: 0, C: 2**53 - 1}}, A, B)
    assert found.level(A) is None and found.level(B) is None and found.level(C) == 2**53 - 1
    assert found.is_above(A, C) and not found.is_above(C, A) and not found.is_above(A, B)
    # An older room's creator is whatever the levels say.
    assert rules("11", {"users": {}}).level(A) == 0


def test_a_room_of_many_creators_takes_no_time() -> None:
    """For each of its members they are looked at."""
    found = rules("12", {}, *(f"@creator{number}:x" for number in range(6_000)))
    began = time.process_time()
    members = [f"@member{number}:x" for number in range(50_000)]
    assert not any(found.is_creator(user) or found.level(user) for user in members)
    assert time.process_time() - began < 2
    assert found.is_creator("@creator5999:x") and found.level("@creator5999:x") is None


def test_odd_levels_are_read_or_passed_over() -> None:
    said = {
        "users": {A: "75", B: [], C: 10.0},
        "users_default": None,
        "events": "none",
        "ban": True,
        "kick": "12abc",
        "redact": 10**30,
        "notifications": {"room": "7"},
        "state_default": -5,
    }
    found = rules("9", said)
    assert [found.level(user) for user in (A, B, C)] == [75, 0, 10]
    assert (found.ban, found.kick, found.redact) == (50, 50, 2**53 - 1)
    assert (found.notify_room, found.state_default) == (7, -5)


@pytest.mark.parametrize(
    ("version", "creators"),
    [("1", [C]), ("10", [C]), ("11", [A]), ("12", [A, B]), ("13", [A, B]), ("org.x", [A])],
)
def test_who_created_a_room(version: str, creators: list[str]) -> None:
    assert creators_of(version, A, [B, A, 7], C) == creators


def test_which_versions_have_creator_power() -> None:
    assert [has_creator_power(v) for v in (None, "1", "11", "12", "org.matrix.hydra.11", "²")] == [
        False, False, False, True, True, False,
    ]  # fmt: skip


def test_ones_own_events_are_redacted_by_who_may_send_redactions() -> None:
    found = rules("10", {"redact": 60, "events": {"m.room.redaction": 20}})
    assert found.to_do("redact") == 60
    assert found.to_do("redact", is_own=True) == 20


LEVELS = {
    "users": {A: 100, B: 50, C: 50},
    "ban": 50,
    "kick": 75,
    "events": {"m.room.name": 60, "m.room.topic": 30},
    "notifications": {"room": 60},
}


@pytest.mark.parametrize(
    ("changes", "is_allowed"),
    [
        ({}, True),
        ({"ban": 40}, True),
        ({"ban": 51}, False),
        ({"kick": 50}, False),  # it was above them
        ({"invite": 50}, True),
        ({"invite": 51}, False),
        ({"events": {"m.room.name": 60, "m.room.topic": 50}}, True),
        ({"events": {"m.room.name": 50, "m.room.topic": 30}}, False),
        ({"events": {"m.room.name": 60, "m.room.topic": 51}}, False),
        ({"events": {"m.room.topic": 30}}, False),  # what is gone has changed
        ({"events": {"m.room.name": 60}}, True),
        ({"notifications": {"room": 50}}, False),
        ({"notifications": {"room": 60, "x": 50}}, True),
        ({"users": {A: 100, B: 0, C: 50}}, True),  # oneself
        ({"users": {A: 100, B: 51, C: 50}}, False),
        ({"users": {A: 100, B: 50, C: 0}}, False),  # an equal
        ({"users": {A: 100, B: 50}}, False),
        ({"users": {B: 50, C: 50}}, False),  # who is above
        ({"users": {A: 100, B: 50, C: 50, "@d:x": 50}}, True),
        ({"users": {A: 100, B: 50, C: 50, "@d:x": 51}}, False),
        ({"users": "none"}, False),
    ],
)
def test_nobody_gives_or_takes_more_than_they_have(
    changes: dict[str, Any], is_allowed: bool
) -> None:
    found = rules("10", LEVELS)
    assert may_set_levels(found, B, {**LEVELS, **changes}) is is_allowed


def test_creators_set_any_levels_but_their_own() -> None:
    found = rules("12", LEVELS | {"users": {C: 50}}, A)
    assert may_set_levels(found, A, {"users": {C: 2**40}, "ban": 500})
    for user in (A, C):
        assert not may_set_levels(found, user, {"users": {A: 100}})
    assert not may_set_levels(found, A, [])
    # The first power levels of a room are its creator's to choose.
    assert may_set_levels(rules("10", None), A, {"users": {A: 100}, "ban": 100})
