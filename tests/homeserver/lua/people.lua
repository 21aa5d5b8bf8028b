-- What the specs of rooms share: two users who have tokens, and what a homeserver says now.
local matrix = require "matrix"
local people = {}

local function env(name)
  return os.getenv(name) or error(name .. " is not set", 0)
end

function people.client(name)
  return matrix.create_client {
    homeserver = env "MATRIX_TEST_HOMESERVER",
    user_id = env("MATRIX_TEST_" .. name),
    access_token = env("MATRIX_TEST_" .. name .. "_TOKEN"),
  }
end

-- f(alice, bob, their ids) as a task.
function people.meet(f)
  local alice, bob = people.client "ALICE", people.client "BOB"
  local ok, problem = pcall(matrix.run, function()
    f(alice, bob, env "MATRIX_TEST_ALICE", env "MATRIX_TEST_BOB")
  end)
  alice:close()
  bob:close()
  if not ok then
    error(problem, 0)
  end
end

-- The content of a state event as the homeserver has it now.
function people.state(client, room_id, kind, key)
  return matrix.check(client:state_event(room_id, kind, { state_key = key or "", reload = true })).content
end

-- Syncs until a room is as it should be: test(room) holds. Gives the room.
function people.sync_until(client, room_id, test)
  for _ = 1, 30 do
    for _, room in ipairs(matrix.check(client:rooms()).rooms) do
      if room.room_id == room_id and test(room) then
        return room
      end
    end
    matrix.check(client:sync_once { timeout_ms = 2000 })
  end
  error("the room did not become what it should be", 2)
end

-- A localpart that nobody has: the users of a test are new, and so are their names.
local last = 0
function people.unused(what)
  last = last + 1
  return what .. "-" .. env("MATRIX_TEST_ALICE"):match("^@([^:]+)") .. "-" .. last
end

function people.membership(client, room_id, membership)
  return people.sync_until(client, room_id, function(room)
    return room.membership == membership
  end)
end

-- The call must be refused with this code; the message must have this text.
function people.refused(payload, code, text)
  if payload.ok or payload.error.code ~= code or not payload.error.message:find(text or "") then
    error("expected " .. code .. " " .. (text or "") .. ", got " .. tostring(payload.error), 2)
  end
end

return people
