-- A window with a live room: type and press Enter. Run it with `love examples/love`.
-- MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD, MATRIX_ROOM (id or alias).
local matrix = require "matrix"

local lines, input, status = {}, "", "logging in"
local room_id, spin = nil, 0

local client = matrix.create_client { homeserver = os.getenv "MATRIX_HOMESERVER" }

client:subscribe("message", function(event)
  if event.room_id == room_id and event.body then
    lines[#lines + 1] = { event.sender, event.new_body or event.body, event.is_own }
  end
end)

client:subscribe("sync_state", function(change)
  status = change.state == "syncing" and "online" or change.reason or change.state
end)

-- A task: it waits inside matrix.dispatch, never in the frame.
matrix.spawn(function()
  local login = client:login_password(os.getenv "MATRIX_USER", os.getenv "MATRIX_PASSWORD")
  local joined = login.ok and client:join_room(os.getenv "MATRIX_ROOM") or login
  if not joined.ok then
    status = tostring(joined.error)
    return
  end
  room_id = joined.room_id
  matrix.check(client:sync_loop_start())
end)

local function send(text)
  client:send_text(room_id, text, function(sent)
    if not sent.ok then
      status = tostring(sent.error)
    end
  end)
end

function love.load()
  love.keyboard.setKeyRepeat(true)
end

function love.update(seconds)
  matrix.dispatch(0, 2000) -- at most 2 ms of this frame
  spin = spin + seconds -- the game goes on at its own rate
end

function love.draw()
  local width, height = love.graphics.getDimensions()
  local font = love.graphics.getFont()
  local y = height - 60
  for index = #lines, 1, -1 do
    local sender, text, is_own = unpack(lines[index])
    local _, wrapped = font:getWrap(sender .. ": " .. text, width - 20)
    y = y - #wrapped * font:getHeight() - 4
    if y < 30 then
      break
    end
    love.graphics.setColor(is_own and { 0.6, 0.9, 0.7 } or { 0.9, 0.9, 1 })
    love.graphics.printf(sender .. ": " .. text, 10, y, width - 20)
  end
  love.graphics.setColor(0.5, 0.6, 0.8)
  love.graphics.print(status .. "  " .. love.timer.getFPS() .. " frames/s", 10, 8)
  love.graphics.arc("fill", width - 20, 16, 8, spin, spin + 4.5)
  love.graphics.setColor(1, 1, 1)
  love.graphics.print("> " .. input .. "_", 10, height - 30)
end

function love.textinput(text)
  input = input .. text
end

function love.keypressed(key)
  if key == "return" and input ~= "" and room_id then
    send(input)
    input = ""
  elseif key == "backspace" then
    input = input:gsub("[%z\1-\127\194-\244][\128-\191]*$", "") -- the last character, in UTF-8
  elseif key == "escape" then
    love.event.quit()
  end
end

function love.quit()
  matrix.shutdown(2000)
end
