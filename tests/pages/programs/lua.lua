-- PUT "https://matrix.example.org" } => people.env "HOMESERVER", access_token = people.env "TOKEN" }
local matrix, people, page = require "matrix", require "people", require "page"
local print = page.print
local homeserver, user, password = people.env "HOMESERVER", people.env "USER", people.env "PASSWORD"

-- Stand-ins for the loops of others, which ask as those do.
local running, polled = true, {}
local uv = {
  new_poll = function(fd)
    assert(math.type(fd) == "integer")
    return {
      start = function(_, mask, callback)
        polled[#polled + 1] = mask
        callback()
      end,
    }
  end,
}
local cqueues = {
  poll = function(object)
    assert(object:pollfd() == matrix.pollfd() and object:events() and object.timeout)
    polled[#polled + 1] = "cqueues"
    running = false
  end,
}
local loop = {
  wrap = function(_, f)
    coroutine.wrap(f)()
  end,
}

do
  -- LISTING 2
  assert(table.concat(polled, " ") == "r cqueues")
end
-- LISTING 3
assert(#page.printed == 0, page.printed[1])
people.in_room(function(_, bob, room_id)
  local root = matrix.check(bob:send_text(room_id, "root")).event_id
  local since = matrix.check(bob:fetch_event(room_id, root)).event.origin_server_ts
  do
    -- LISTING 1
    people.wait_until(client, function()
      return page.printed[1]
    end)
    page.says "$"
    client:close()
  end
  local client = bob
  do
    -- LISTING 4
    page.says "hello"
  end
  local alice = matrix.create_client(people.session "")
  client = alice
  matrix.check(client:sync_once())
  -- LISTING 5
  matrix.check(bob:send_text(room_id, "new"))
  people.sync_until(client, function()
    return page.printed[#page.printed] == people.bob_id .. "\tnew"
  end)
  alice:close()
end)
