local matrix, people, page = require "matrix", require "people", require "page"
local print = page.print

people.meet(function(client, bob, _, bob_id)
  -- LISTING 1
  -- LISTING 2
  -- LISTING 3
  -- LISTING 4
  -- LISTING 5
  -- LISTING 6
  -- LISTING 7
  -- LISTING 8
  -- LISTING 9
  local seen = false
  for _, line in ipairs(page.printed) do
    seen = seen or line == "m.space\tDrinks\t1"
  end
  assert(seen and found ~= nil)
end)
