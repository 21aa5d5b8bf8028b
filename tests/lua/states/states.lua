-- More than one lua_State in a process. Run with `states` (tests/lua/c/states.c) on the C path.
local states = require "states"

-- Pings, and keeps what comes; `label` tells one state from another.
local ping = [[
  local matrix = require "matrix"
  local label = ...
  local client = matrix.create_client { homeserver = "http://127.0.0.1:9" }
  local seen = 0
  matrix.run(function()
    for index = 1, 200 do
      local payload = matrix.check(client:ping { payload = { label, index } }).payload
      assert(payload[1] == label and payload[2] == index, "another state's answer")
      seen = seen + 1
    end
  end)
  assert(seen == 200)
]]

local pending = [[
  local matrix = require "matrix"
  local client = matrix.create_client { homeserver = "http://127.0.0.1:9" }
  client:subscribe("message", print)
  for _ = 1, 50 do
    client:ping({ delay_ms = 600000 }, function() error "called back after lua_close" end)
  end
  local finalised = (newproxy and newproxy(true) or setmetatable({}, {}))
  getmetatable(finalised).__gc = function() pcall(client.ping, client, print) pcall(matrix.dispatch) end
]]

local starving = [[
  local matrix = require "matrix"
  local client = matrix.create_client { homeserver = "http://127.0.0.1:9" }
  local nested = { list = { 1, 2, { deep = "text" } }, more = { a = { b = { c = 0.5 } } } }
  function attempt()
    local done = 0
    for _ = 1, 3 do
      client:ping({ payload = nested }, function() done = done + 1 end)
    end
    matrix.dispatch(1000)
    matrix.spawn(function() client:ping { payload = nested } end)
    client:subscribe("message", { room_id = "!a:b" }, print):unsubscribe()
    pcall(client.ping, client, { payload = { [0] = 1 } }, print)
    matrix.create_client { homeserver = "http://127.0.0.1:9" }:close()
  end
  function verify()
    local payload
    client:ping({ payload = nested }, function(answer) payload = answer end)
    while not payload do matrix.dispatch(1000) end
    assert(payload.ok and payload.payload.more.a.b.c == 0.5)
  end
  verify()
]]

local test = ...

if test == "again" then
  for _ = 1, 5 do
    states.run(ping)
  end
elseif test == "nested" then
  local matrix = require "matrix"
  local client, answered = matrix.create_client { homeserver = "http://127.0.0.1:9" }, false
  client:ping({ payload = "outer" }, function(payload)
    answered = payload.payload
  end)
  states.run(ping)
  assert(not answered, "another state's dispatch ran this one's callback")
  while not answered do
    matrix.dispatch(1000)
  end
  assert(answered == "outer")
elseif test == "threads" then
  states.threads(ping, 4)
  states.threads(ping, 4)
elseif test == "pending" then
  for _ = 1, 5 do
    states.run(pending)
  end
  states.run(ping)
elseif test == "starve" then
  local failed = states.starve(starving, tonumber(select(2, ...)))
  print("attempts that ran out of memory: " .. failed)
  assert(failed > 20)
else
  error("no such test: " .. tostring(test))
end
print "ok"
