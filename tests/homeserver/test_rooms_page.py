"""What docs/rooms.md shows runs, from its first listing to its last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lua.interpreters import ROOT
from tests.support.homeserver import Homeserver
from tests.support.scenario import LUA_5_4, two_users

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
    program = PROGRAM % "".join(listings)
    done = LUA_5_4.run(stage, "-e", program, env=two_users(homeserver))
    assert (done.returncode, done.stderr) == (0, "")
    assert "m.space\tDrinks\t1\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("done\t")
