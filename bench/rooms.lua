-- rooms.lua URL ROOMS: how long `rooms` takes into a table, and cjson.decode on the same text.
local matrix = require "matrix"
local cjson = require "cjson"

local url, wanted = arg[1], tonumber(arg[2])
local rounds = 20
local client = matrix.create_client {
  homeserver = url,
  user_id = "@bench:localhost",
  access_token = "token",
}

local function now()
  local file = assert(io.open "/proc/uptime")
  local seconds = file:read "*n"
  file:close()
  return seconds
end

-- Milliseconds for one of many rounds, garbage included.
local function timed(f)
  f()
  collectgarbage()
  local start = now()
  for _ = 1, rounds do
    f()
  end
  return (now() - start) / rounds * 1000
end

matrix.run(function()
  matrix.check(client:sync_once())
  local payload = matrix.check(client:rooms())
  assert(#payload.rooms == wanted)
  local text = cjson.encode(payload)
  local ours = timed(function()
    assert(#client:rooms().rooms == wanted)
  end)
  local theirs = timed(function()
    assert(#cjson.decode(text).rooms == wanted)
  end)
  print(string.format('{"bytes":%d,"rooms_ms":%.1f,"cjson_ms":%.1f}', #text, ours, theirs))
end)
client:close()
os.exit(0)
