-- PUT "@bob:example.org" => people.bob_id
local matrix, people, page = require "matrix", require "people", require "page"
local print, states = page.print, {}

local function answer(bob)
  bob:subscribe("verification", function(event)
    if event.state == "requested" then
      bob:accept_verification(event.verification_id, matrix.ignore)
    elseif event.state == "comparing" then
      bob:confirm_verification(event.verification_id, matrix.ignore)
    end
  end)
end

matrix.run(function()
  people.with_user("", function(client)
    people.with_user("2", function(bob)
      local room = { invite = { people.bob_id }, preset = "private_chat" }
      local room_id = matrix.check(client:create_room(room)).room_id
      matrix.check(bob:join_room(room_id))
      answer(bob)
      client:subscribe("verification", function(event)
        states[event.state] = true
      end)
      matrix.check(bob:sync_loop_start { timeout_ms = 10000 })
      matrix.check(client:sync_loop_start { timeout_ms = 10000 })
      -- LISTING 1
      people.wait_until(client, function()
        return states.done or states.cancelled
      end)
      assert(states.done and #page.printed == 7, page.printed[1])
      matrix.check(client:sync_loop_stop())
      matrix.check(bob:sync_loop_stop())
    end)
  end)
end)
