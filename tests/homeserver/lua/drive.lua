-- Does what its input says: each line is an expression in `client` and `matrix`; its value and the events that came
-- meanwhile go out as one line of JSON. Lines run as tasks, so that calls wait for their results.
local matrix = require "matrix"
local client, options = nil, {}
local events, subscriptions = {}, {}
local compile = loadstring or load

for name in pairs { homeserver = 1, store_path = 1, user_id = 1, device_id = 1, access_token = 1, proxy = 1 } do
  options[name] = os.getenv("DRIVE_" .. name:upper())
end

local function encode(value)
  if value == nil or value == matrix.null then
    return "null"
  elseif type(value) == "string" then
    local text = value:gsub('[%c"\\\127]', function(c)
      return string.format("\\u%04x", c:byte())
    end)
    return '"' .. text .. '"'
  elseif type(value) ~= "table" then
    return type(value) == "number" and string.format("%.17g", value) or tostring(value)
  end
  local parts = {}
  if matrix.is_array(value) then
    for index, item in ipairs(value) do
      parts[index] = encode(item)
    end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for key, item in pairs(value) do
    parts[#parts + 1] = encode(tostring(key)) .. ":" .. encode(item)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local tools = {}

-- Hears a kind of event from now on, under a name of its own.
function tools.hear(name, kind, filter)
  subscriptions[name] = client:subscribe(kind, filter or {}, function(event)
    events[#events + 1] = { name = name, event = event }
  end)
  return {}
end

function tools.hear_once(name, kind, filter)
  subscriptions[name] = client:subscribe(kind, filter or {}, function(event)
    events[#events + 1] = { name = name, event = event }
    subscriptions[name]:unsubscribe()
  end)
  return {}
end

client = matrix.create_client(options)
for line in io.lines() do
  local f = assert(compile("local client, matrix, tools = ... return " .. line))
  local result = matrix.run(function()
    return f(client, matrix, tools)
  end)
  local heard = {}
  for index, each in ipairs(events) do
    heard[index] = '["' .. each.name .. '",' .. encode(each.event) .. "]"
  end
  events = {}
  io.write('{"result":', encode(result), ',"events":[', table.concat(heard, ","), "]}\n")
  io.flush()
end
client:close()
