"""A user with 10,000 rooms: all are listed, in order, also after a restart without a homeserver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lua.interpreters import INTERPRETERS
from tests.support.scripted import Answer, Request, ScriptedServer

COUNT = 10_000
NOWHERE = "http://127.0.0.1:9"

LIST = """
local matrix = require "matrix"
local client = matrix.create_client {
  homeserver = os.getenv "URL", store_path = os.getenv "STORE",
  user_id = "@me:localhost", access_token = "token",
}
matrix.run(function()
  if os.getenv "SYNC" then
    assert(matrix.check(client:sync_once()).event_count == 0)
  end
  local count, last, invites, names = 0, "", 0, 0
  for _, room in ipairs(matrix.check(client:rooms()).rooms) do
    assert(room.room_id > last, room.room_id)
    count, last = count + 1, room.room_id
    invites = invites + (room.membership == "invite" and 1 or 0)
    names = names + (room.name == "Room " .. room.room_id:sub(2, 6) and 1 or 0)
    assert(room.tags == nil or room.tags["u.work"].order == 0.5)
  end
  local invited = matrix.check(client:rooms { membership = "invite" }).rooms
  assert(#invited == invites)
  local details = matrix.check(client:room_details "!09999:localhost")
  assert(details.room.name == "Room 09999" and details.join_rule == "public")
  print(count, invites, names)
end)
client:close()
"""


def state(kind: str, content: dict[str, str]) -> dict[str, object]:
    event = {"type": kind, "state_key": "", "content": content, "sender": "@a:b"}
    return event | {"event_id": "$e", "origin_server_ts": 1}


def rooms() -> Answer:
    join, invite = {}, {}
    for number in range(COUNT):
        events = [
            state("m.room.name", {"name": f"Room {number:05}"}),
            state("m.room.join_rules", {"join_rule": "public"}),
        ]
        if number % 100 == 0:
            invite[f"!{number:05}:localhost"] = {"invite_state": {"events": events}}
            continue
        tags = [{"type": "m.tag", "content": {"tags": {"u.work": {"order": 0.5}}}}]
        join[f"!{number:05}:localhost"] = {
            "state": {"events": events},
            "account_data": {"events": tags if number % 3 == 0 else []},
        }
    return Answer({"next_batch": "s1", "rooms": {"join": join, "invite": invite}})


def test_ten_thousand_rooms(stage: Path, run_host: Callable[..., Any], tmp_path: Path) -> None:
    answer = rooms()

    def script(request: Request) -> Answer:
        return answer if request.path.endswith("/sync") else Answer({"user_id": "@me:localhost"})

    lua = next(each for each in INTERPRETERS if each.name == "lua5.4")
    store = {"STORE": str(tmp_path / "store")}
    with ScriptedServer(script) as server:
        first = lua.run(stage, "-e", LIST, env=store | {"URL": server.url, "SYNC": "1"})
    again = lua.run(stage, "-e", LIST, env=store | {"URL": NOWHERE})
    from_c = run_host("many_rooms", env={"MATRIX_STORE": store["STORE"]})
    for done in (first, again, from_c):
        assert (done.stdout, done.stderr) == ("10000\t100\t10000\n", "")
