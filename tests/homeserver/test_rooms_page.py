"""What docs/rooms.md shows runs, from its first listing to its last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.homeserver.test_live_rooms import SPECS, two_tokens
from tests.lua.interpreters import INTERPRETERS, ROOT
from tests.support.homeserver import Homeserver

PROGRAM = """
local matrix, people = require "matrix", require "people"
people.meet(function(client, bob, _, bob_id)
%s
  print("done", found)
end)
"""


@pytest.mark.homeserver
def test_the_page_runs(stage: Path, homeserver: Homeserver) -> None:
    page = (ROOT / "docs" / "rooms.md").read_text()
    listings = re.findall(r"```lua\n(.*?)```", page, re.DOTALL)
    assert len(listings) == 9
    lua = next(each for each in INTERPRETERS if each.name == "lua5.4")
    env = two_tokens(homeserver) | {"LUA_PATH": f"{SPECS}/?.lua"}
    done = lua.run(stage, "-e", PROGRAM % "".join(listings), env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "m.space\tDrinks\t1\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("done\t")
