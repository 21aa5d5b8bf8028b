-- chatting.lua: talks in an encrypted room until it is killed, and prints what it hears and what went wrong.
-- MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD, MATRIX_ROOM, MATRIX_STORE; MATRIX_UNTIL: says nothing, and ends when
-- it has heard of this event.
local matrix = require "matrix"

local room_id, last_id = os.getenv "MATRIX_ROOM", os.getenv "MATRIX_UNTIL"
local is_over = false

local function say(...)
  io.stdout:write(table.concat({ ... }, " "), "\n")
  io.stdout:flush()
end

matrix.on_log("warning", function(record)
  say("log", record.code or "-", record.message)
end)

matrix.run(function()
  local client = matrix.create_client { homeserver = os.getenv "MATRIX_HOMESERVER", store_path = os.getenv "MATRIX_STORE" }
  client:subscribe("any", { room_id = room_id, fill_gaps = true }, function(event)
    local how = event.encryption or {}
    if event.type == "m.room.message" then
      say("heard", event.event_id, tostring(how.is_decrypted))
    elseif event.type == "m.room.encrypted" then
      say("lost", event.event_id, how.code or "-")
    end
    is_over = is_over or event.event_id == last_id
  end)
  if not matrix.check(client:account()).is_logged_in then
    matrix.check(client:login_password(os.getenv "MATRIX_USER", os.getenv "MATRIX_PASSWORD"))
  end
  matrix.check(client:encryption_status())
  matrix.check(client:sync_once())
  say "ready"
  local number = 0
  while not is_over do
    if not last_id then
      for _ = 1, 3 do
        number = number + 1
        local sent = client:send_text(room_id, "message " .. number)
        say(sent.ok and "sent" or "unsent", sent.ok and sent.event_id or sent.error.code)
      end
    end
    local synced = client:sync_once { timeout_ms = last_id and 1000 or 0 }
    if not synced.ok then
      say("unsynced", synced.error.code)
    end
  end
  client:close()
end)
say "over"
