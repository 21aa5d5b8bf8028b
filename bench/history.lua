-- A room's whole history: history.lua URL ROOM PAGE_SIZE EVENTS; a field of each event is read.
local matrix = require("matrix")

local url, room_id, size, wanted = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])
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

matrix.run(function()
    client:whoami()
    local named, start = 0, now()
    local cursor = client:cursor(room_id, { page_size = size })
    while cursor:next() do
        if cursor.event.event_id and cursor.event.content then
            named = named + 1
        end
    end
    local seconds = now() - start
    assert(named == wanted and not cursor.error)
    print(string.format('{"seconds":%.4f}', seconds))
end)
