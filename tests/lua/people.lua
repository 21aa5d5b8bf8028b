-- What specs against a homeserver share: two users and what is done with their clients. MATRIX_HOMESERVER, and
-- MATRIX_CA_FILE where it speaks TLS; MATRIX_USER, MATRIX_PASSWORD, MATRIX_USER_ID and MATRIX_TOKEN are Alice's, and
-- Bob's are the same with a 2; MATRIX_ROOM is a room that both are in, where a spec needs one.
local matrix = require "matrix"

local people = {
  alice_id = os.getenv "MATRIX_USER_ID",
  bob_id = os.getenv "MATRIX_USER_ID2",
  room_id = os.getenv "MATRIX_ROOM",
}

-- What the environment says, named without MATRIX_; it must say it.
function people.env(name)
  return os.getenv("MATRIX_" .. name) or error("MATRIX_" .. name .. " is not set", 0)
end

local env = people.env

-- The options of a client of the homeserver, and more.
function people.options(more)
  local options = { homeserver = env "HOMESERVER", ca_file = os.getenv "MATRIX_CA_FILE" }
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  return options
end

-- The same for one that is logged in from the start; the suffix is "" or "2".
function people.session(suffix, more)
  local options = people.options(more)
  options.user_id, options.access_token = env("USER_ID" .. suffix), env("TOKEN" .. suffix)
  return options
end

function people.log_in(client, suffix)
  return matrix.check(client:login_password(env("USER" .. suffix), env("PASSWORD" .. suffix)))
end

-- f(client, login) with a client that has logged in; what it returns.
function people.with_user(suffix, f, more)
  return matrix.with_client(people.options(more), function(client)
    return f(client, people.log_in(client, suffix))
  end)
end

-- f(alice, bob, their ids) as a task.
function people.meet(f)
  local alice = matrix.create_client(people.session "")
  local bob = matrix.create_client(people.session "2")
  local ok, problem = pcall(matrix.run, function()
    return f(alice, bob, people.alice_id, people.bob_id)
  end)
  alice:close()
  bob:close()
  if not ok then
    error(problem, 0)
  end
end

-- f(alice, bob, room_id) as a task; bob has synced.
function people.in_room(f)
  people.meet(function(alice, bob)
    matrix.check(bob:sync_once())
    return f(alice, bob, env "ROOM")
  end)
end

-- Waits until done() holds.
function people.wait_until(client, done, what)
  for _ = 1, 3000 do
    if done() then
      return
    end
    matrix.check(client:ping { delay_ms = 20 })
  end
  error("it did not come: " .. (what or "?"), 2)
end

-- Syncs until done() holds.
function people.sync_until(client, done)
  for _ = 1, 60 do
    if done() then
      return
    end
    matrix.check(client:sync_once { timeout_ms = 1000 })
  end
  error("it did not come", 2)
end

-- Hears a kind of event, in one room or all: a function that syncs until the event with an id came, and gives it.
function people.listener(client, kind, room_id)
  local heard = {}
  client:subscribe(kind, { room_id = room_id }, function(event)
    heard[event.event_id] = event
  end)
  return function(event_id)
    people.sync_until(client, function()
      return heard[event_id]
    end)
    return heard[event_id]
  end
end

-- A room as it is listed.
function people.room(client, room_id)
  for _, room in ipairs(matrix.check(client:rooms()).rooms) do
    if room.room_id == room_id then
      return room
    end
  end
  return nil
end

-- Whether the homeserver says that the user has joined a room; it lists them in no order.
function people.has_joined(client, room_id)
  for _, joined in ipairs(matrix.check(client:joined_rooms()).room_ids) do
    if joined == room_id then
      return true
    end
  end
  return false
end

-- Syncs until a room is as it should be: fits(room) holds. Gives the room.
function people.room_until(client, room_id, fits)
  local found
  people.sync_until(client, function()
    found = people.room(client, room_id)
    return found and fits(found)
  end)
  return found
end

-- Syncs until the user is in a room in this way. Gives the room.
function people.membership(client, room_id, membership)
  return people.room_until(client, room_id, function(room)
    return room.membership == membership
  end)
end

-- The content of a state event as the homeserver has it now.
function people.state(client, room_id, kind, key)
  return matrix.check(client:state_event(room_id, kind, { state_key = key or "", reload = true })).content
end

-- A localpart that nobody has: the users of a test are new, and so are their names.
local last = 0
function people.unused(what)
  last = last + 1
  return what .. "-" .. people.alice_id:match "^@([^:]+)" .. "-" .. last
end

-- The code of a call's error; nil when it succeeded.
function people.code(payload)
  return not payload.ok and payload.error.code or nil
end

-- The call must be refused with this code; the message must have this text.
function people.refused(payload, code, text)
  if payload.ok or payload.error.code ~= code or not payload.error.message:find(text or "") then
    error("expected " .. code .. " " .. (text or "") .. ", got " .. tostring(payload.error), 2)
  end
end

return people
