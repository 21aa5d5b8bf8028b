-- PUT subscription:unsubscribe() => hear() subscription:unsubscribe()
local matrix, people, page = require "matrix", require "people", require "page"
local print = page.print

people.in_room(function(client, bob, room_id)
  local function hear()
    local sent = matrix.check(bob:send_text(room_id, "tea"))
    people.sync_until(client, function()
      return #page.printed == 1
    end)
    page.says(people.bob_id .. "\ttea")
    matrix.check(bob:edit_message(room_id, sent.event_id, "coffee"))
    people.sync_until(client, function()
      return #page.printed == 2
    end)
    page.says("edited\t" .. sent.event_id .. "\tcoffee")
  end
  -- LISTING 1
  local heard = people.listener(client, "message", room_id)
  heard(matrix.check(bob:send_text(room_id, "milk")).event_id)
  assert(#page.printed == 2)
end)
