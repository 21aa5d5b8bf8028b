local people, page = require "people", require "page"
local print = page.print

people.in_room(function(client, _, room_id)
  -- LISTING 1
  people.wait_until(client, function()
    return #page.printed == 4
  end)
  for number, state in ipairs { "queued\tnil", "sending\tnil", "sent\t$" } do
    assert(page.printed[number]:find("greeting-1\t" .. state, 1, true))
  end
  assert(page.printed[3] == "greeting-1\tsent\t" .. page.printed[4])
end)
