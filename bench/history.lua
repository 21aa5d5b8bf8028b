-- A room's whole history: history.lua URL ROOM EVENTS; a field of each event is read.
local matrix = require("matrix")

local url, room_id, wanted = arg[1], arg[2], tonumber(arg[3])
local client = matrix.create_client({
    homeserver = url,
    user_id = "@bench:localhost",
    device_id = "D",
    access_token = "token",
})

local function now()
    local clock = io.popen("date +%s.%N")
    local seconds = tonumber(clock:read("*l"))
    clock:close()
    return seconds
end

local function go_through()
    local named, start, cpu = 0, now(), os.clock()
    local cursor = client:cursor(room_id)
    while cursor:next() do
        if cursor.event.event_id and cursor.event.content then
            named = named + 1
        end
    end
    cpu = os.clock() - cpu
    local seconds = now() - start
    assert(named == wanted and not cursor.error)
    return string.format('{"seconds":%.4f,"cpu":%.4f}', seconds, cpu)
end

matrix.run(function()
    -- Once before the clock counts, as the peer does: all is loaded then, and memory is there.
    go_through()
    print(go_through())
end)
