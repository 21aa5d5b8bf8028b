-- The same in Lua: `lua rooms.lua HOMESERVER USER [CA_FILE]`, the password in ROOM_LIST_PASSWORD.
local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.cpath = here .. "/lib/lua/" .. _VERSION:match("%d+%.%d+") .. "/?.so;" .. package.cpath
local matrix = require("matrix")

local function check(reply)
  if not reply.ok then
    error(reply.error.code .. ": " .. reply.error.message, 0)
  end
  return reply
end

matrix.run(function()
  local client = matrix.create_client({ homeserver = arg[1], ca_file = arg[3] })
  local session = check(client:login_password(arg[2], os.getenv("ROOM_LIST_PASSWORD")))
  print("logged in as " .. session.user_id)
  check(client:sync_once())
  for _, room in ipairs(check(client:rooms()).rooms) do
    print(room.room_id .. " " .. (room.name or ""))
  end
  check(client:logout())
end)
