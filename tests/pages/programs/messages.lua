local matrix, people, page = require "matrix", require "people", require "page"
local print = page.print

people.in_room(function(client, bob, room_id)
  local heard = {}
  bob:subscribe("any", { room_id = room_id }, function(event)
    heard[event.type == "m.room.message" and event.replaces and "edit" or event.type] = event
  end)
  -- LISTING 1
  people.sync_until(bob, function()
    return heard["m.reaction"] and heard.edit
  end)
  assert(heard.edit.new_body == "tea or coffee?" and heard.edit.replaces == sent.event_id)
  -- LISTING 2
  assert(#page.printed == 2)
  page.says "black\t"
end)
