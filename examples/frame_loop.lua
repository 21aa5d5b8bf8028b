-- A game's frame loop: 2 ms of each frame go to Matrix, the rest is the game's.
-- MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD; optional MATRIX_FRAMES, how many frames to run.
local matrix = require "matrix"

local client = matrix.create_client { homeserver = os.getenv "MATRIX_HOMESERVER" }

client:subscribe("message", { not_own = true }, function(event)
  print(event.sender .. ": " .. (event.body or event.type))
end)

-- A task: straight-line code that goes on inside matrix.dispatch.
matrix.spawn(function()
  matrix.check(client:login_password(os.getenv "MATRIX_USER", os.getenv "MATRIX_PASSWORD"))
  while true do
    matrix.check(client:sync_once { timeout_ms = 30000 })
  end
end)

local function update() end

local function draw() end

for _ = 1, tonumber(os.getenv "MATRIX_FRAMES" or math.huge) do
  matrix.dispatch(16, 2000) -- in a loop that paces itself: matrix.dispatch(0, 2000)
  update()
  draw()
end
