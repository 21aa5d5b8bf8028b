"""Room names, by the specification's rules."""

from __future__ import annotations

import pytest

from libmatrix.rooms.names import make_name

ALICE, BOB, CAROL = ("@a:x", "Alice"), ("@b:x", "Bob"), ("@c:x", "Carol")


@pytest.mark.parametrize(
    ("name", "alias", "heroes", "others", "shown"),
    [
        ("Tea", "#tea:x", [ALICE], 1, "Tea"),
        (None, "#tea:x", [ALICE], 1, "#tea:x"),
        ("", "", [ALICE], 1, "Alice"),
        (None, None, [ALICE, BOB], 2, "Alice and Bob"),
        (None, None, [ALICE, BOB, CAROL], 3, "Alice, Bob and Carol"),
        (None, None, [ALICE, BOB], 4, "Alice, Bob and 2 others"),
        (None, None, [ALICE], 2, "Alice and 1 other"),
        (None, None, [("@a:x", "Alice"), ("@b:x", "Alice")], 2, "Alice (@a:x) and Alice (@b:x)"),
        (None, None, [("@a:x", None), BOB], 2, "@a:x and Bob"),
        (None, None, [ALICE], 0, "Empty room (was Alice)"),
        (None, None, [ALICE, BOB], 0, "Empty room (was Alice and Bob)"),
        (None, None, [], 0, "Empty room"),
        (None, None, [], 1, "1 person"),
        (None, None, [], 7, "7 people"),
        (None, None, [(f"@{i}:x", None) for i in range(7)], 9,
         "@0:x, @1:x, @2:x, @3:x, @4:x and 4 others"),
    ],
)  # fmt: skip
def test_name(
    name: str | None,
    alias: str | None,
    heroes: list[tuple[str, str | None]],
    others: int,
    shown: str,
) -> None:
    assert make_name(name, alias, heroes, others) == shown
