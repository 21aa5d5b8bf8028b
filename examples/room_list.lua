-- Logs in, syncs, lists the rooms, shows what was said in them, sends a message if asked.
-- MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD; optional MATRIX_CA_FILE, MATRIX_ROOM and MATRIX_SEND.
local matrix = require "matrix"

local function env(name)
  return os.getenv(name) or error(name .. " is not set", 0)
end

local function show(room)
  print(string.format("  %-28s %3d joined %3d unread  %s",
    room.name, room.joined_member_count, room.notification_count, room.room_id))
end

local function session(client)
  local login = matrix.check(client:login_password(env "MATRIX_USER", env "MATRIX_PASSWORD"))
  print("logged in as " .. login.user_id)
  client:subscribe("message", function(event)
    print(event.sender .. ": " .. (event.body or event.type))
  end)
  matrix.check(client:sync_once())
  local rooms = matrix.check(client:rooms()).rooms
  print("rooms: " .. #rooms)
  for _, room in ipairs(rooms) do
    show(room)
  end
  if os.getenv "MATRIX_SEND" then
    local sent = matrix.check(client:send_text(env "MATRIX_ROOM", env "MATRIX_SEND"))
    print("sent " .. sent.event_id)
  end
  matrix.check(client:logout())
end

local ok, problem = pcall(matrix.run, function()
  local options = { homeserver = env "MATRIX_HOMESERVER", ca_file = os.getenv "MATRIX_CA_FILE" }
  matrix.with_client(options, session)
end)
if not ok then
  io.stderr:write("room_list: ", tostring(problem), "\n")
  os.exit(1)
end
