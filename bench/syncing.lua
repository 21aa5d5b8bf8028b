-- syncing.c in Lua: syncing.lua URL STORE EVENTS; each callback reads a field.
local matrix = require("matrix")

local url, store, wanted = arg[1], arg[2], tonumber(arg[3])
local client = matrix.create_client({
    homeserver = url,
    store_path = store,
    user_id = "@bench:localhost",
    access_token = "token",
    encryption = false,
})
local got, named = 0, 0

client:subscribe("any", function(event)
    got = got + 1
    if event.event_id then
        named = named + 1
    end
end)
local function now()
    local file = assert(io.open("/proc/uptime"))
    local seconds = file:read("*n")
    file:close()
    return seconds
end

matrix.run(function()
    client:ping()
end)
local start = now()
client:sync_loop_start(function() end)
while got < wanted do
    matrix.dispatch(1000)
end
local has_stopped = false
client:sync_loop_stop(function()
    has_stopped = true
end)
while not has_stopped do
    matrix.dispatch(1000)
end
assert(named == got)
local peak = io.open("/proc/self/status"):read("*a"):match("VmHWM:%s*(%d+)")
print(string.format('{"seconds":%.2f,"mib":%.1f}', now() - start, peak / 1024))
os.exit(0)
