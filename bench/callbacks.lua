-- Times a trivial callback: all replies are there before the clock starts.
local matrix = require("matrix")

local COUNT = 40000
local client = matrix.create_client({ homeserver = "http://127.0.0.1:9" })
local got = 0

local function trivial()
    got = got + 1
end

matrix.run(function()
    client:ping()
end)
for _ = 1, COUNT do
    client:ping(trivial)
end
-- The last request of the queue is answered last; its delay leaves time for all answers to arrive.
client:ping({ busy_ms = 1500 }, function() end)
while matrix.dispatch(0, 1) == 0 do
end
local pause = os.clock()
while os.clock() - pause < 2 do
end

local before = os.clock()
local counted = got
while got < COUNT do
    matrix.dispatch(1000)
end
local name = jit and "LuaJIT" or _VERSION
print(
    string.format(
        '{"name":"callback, %s","ns":%.0f}',
        name,
        (os.clock() - before) * 1e9 / (COUNT - counted)
    )
)
