local people, page = require "people", require "page"
local print = page.print

people.in_room(function(client)
  local room_id = "!nowhere:localhost"
  -- LISTING 1
  people.wait_until(client, function()
    return page.printed[1]
  end)
  page.says "M_FORBIDDEN\t"
end)
