-- PUT "example.org" => people.env "HOMESERVER"
-- PUT "/var/lib/bot" => people.env "STORE"
-- PUT "@bob:example.org" => people.bob_id
local matrix, people = require "matrix", require "people"

matrix.run(function()
  people.with_user("", function() end, { store_path = people.env "STORE" })
end)
matrix.run(function()
  -- LISTING 1
  matrix.check(client:sync_once())
  assert(people.room(client, room_id).is_encrypted)
  client:close()
end)
