-- The same in Lua, with the module that lies beside this file.
local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.cpath = here .. "/lib/lua/" .. _VERSION:match("%d+%.%d+") .. "/?.so;" .. package.cpath
local matrix = require("matrix")

matrix.run(function()
  local client = matrix.create_client({ homeserver = os.getenv("MATRIX_HOMESERVER") })
  local session = matrix.check(client:login_password(os.getenv("MATRIX_USER"), os.getenv("MATRIX_PASSWORD")))
  print("logged in as " .. session.user_id)
  matrix.check(client:sync_once())
  for _, room in ipairs(matrix.check(client:rooms()).rooms) do
    print(room.room_id .. " " .. (room.name or ""))
  end
  matrix.check(client:logout())
end)
