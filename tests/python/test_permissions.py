"""Power levels by the specification's rules."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from libmatrix.permissions import Permissions, _decode
from libmatrix.rooms import creators_of, has_creator_power

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
