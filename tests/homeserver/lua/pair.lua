-- Two clients in one room, for scenarios: MATRIX_HOMESERVER, MATRIX_TOKEN, MATRIX_TOKEN2, MATRIX_ROOM.
local matrix = require "matrix"

local pair = { room_id = os.getenv "MATRIX_ROOM" }

local function make(suffix)
  return matrix.create_client {
    homeserver = os.getenv "MATRIX_HOMESERVER",
    user_id = os.getenv("MATRIX_USER_ID" .. suffix),
    access_token = os.getenv("MATRIX_TOKEN" .. suffix),
  }
end

-- f(alice, bob, room_id) as a task; bob has synced.
function pair.run(f)
  local alice, bob = make "", make "2"
  pair.alice_id, pair.bob_id = os.getenv "MATRIX_USER_ID", os.getenv "MATRIX_USER_ID2"
  local ok, problem = pcall(matrix.run, function()
    matrix.check(bob:sync_once())
    return f(alice, bob, pair.room_id)
  end)
  alice:close()
  bob:close()
  if not ok then
    error(problem, 0)
  end
end

-- Syncs until done() holds.
function pair.sync_until(client, done)
  for _ = 1, 60 do
    if done() then
      return
    end
    matrix.check(client:sync_once { timeout_ms = 1000 })
  end
  error("it did not come", 2)
end

-- Hears a kind of event: a function that syncs until the event with an id came, and gives it.
function pair.listener(client, kind)
  local heard = {}
  client:subscribe(kind, { room_id = pair.room_id }, function(event)
    heard[event.event_id] = event
  end)
  return function(event_id)
    pair.sync_until(client, function()
      return heard[event_id]
    end)
    return heard[event_id]
  end
end

return pair
