-- A bot: !echo words, !roll 2d6, !remind 90 stir the tea. It joins where it is invited and answers with notices.
-- MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD; optional MATRIX_STORE, the folder where it keeps its session.
local matrix = require "matrix"

local client = matrix.create_client {
  homeserver = os.getenv "MATRIX_HOMESERVER",
  store_path = os.getenv "MATRIX_STORE",
}
local reminders = {}

local function answer(event, text)
  client:send_reply(event.room_id, event.event_id, text, { kind = "notice" }, function(sent)
    if not sent.ok then
      print("not sent", sent.error)
    end
  end)
end

local commands = {}

function commands.echo(event, words)
  answer(event, words)
end

function commands.roll(event, words)
  local count, sides = words:match "^(%d*)d(%d+)$"
  count, sides = tonumber(count) or 1, tonumber(sides)
  if not sides or sides < 1 or sides > 1000 or count < 1 or count > 100 then
    return answer(event, "say !roll 2d6")
  end
  local sum = 0
  for _ = 1, count do
    sum = sum + math.random(sides)
  end
  answer(event, ("%dd%d: %d"):format(count, sides, sum))
end

function commands.remind(event, words)
  local seconds, text = words:match "^(%d+) (.+)$"
  if not seconds then
    return answer(event, "say !remind 90 stir the tea")
  end
  reminders[#reminders + 1] = { at = os.time() + tonumber(seconds), event = event, text = text }
  answer(event, "in " .. seconds .. " s")
end

-- Notices are what other bots say: to answer them could go on forever.
client:subscribe("message", { not_own = true }, function(event)
  local name, words = (event.body or ""):match "^!(%a+)%s*(.*)$"
  if commands[name] and event.msgtype == "m.text" and not event.is_historic and not event.replaces then
    commands[name](event, words)
  end
end)

client:subscribe("invite", function(invite)
  client:join_room(invite.room_id, matrix.ignore)
end)

client:subscribe("sync_state", function(change)
  if change.state == "unauthorized" then
    error "the homeserver has ended the session; the next start logs in again"
  end
end)

matrix.run(function()
  if not client:account().is_logged_in then
    matrix.check(client:login_password(os.getenv "MATRIX_USER", os.getenv "MATRIX_PASSWORD"))
  end
  matrix.check(client:sync_loop_start())
end)
print "the bot listens"

while true do
  matrix.dispatch(250)
  for index = #reminders, 1, -1 do
    if os.time() >= reminders[index].at then
      local reminder = table.remove(reminders, index)
      answer(reminder.event, reminder.text)
    end
  end
end
