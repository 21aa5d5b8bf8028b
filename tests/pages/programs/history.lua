local matrix, people, page = require "matrix", require "people", require "page"
local print = page.print

people.in_room(function(client, bob, room_id)
  matrix.check(bob:send_text(room_id, "old"))
  matrix.check(bob:send_text(room_id, "new"))
  -- LISTING 1
  assert(page.printed[1] == people.bob_id .. "\tnew")
  assert(page.printed[2] == people.bob_id .. "\told")
  assert(not cursor.error, cursor.error)
end)
