-- PUT "https://example.org" => people.env "HOMESERVER"
-- PUT "bot-store" => people.env "STORE"
-- PUT "EsTc LW2K …" => recovery_key
local matrix, people, page = require "matrix", require "people", require "page"
local print, user, password = page.print, people.env "USER", people.env "PASSWORD"
local recovery_key

matrix.run(function()
  people.with_user("", function(client)
    -- LISTING 2
    recovery_key = page.printed[1]
  end)
end)
-- LISTING 1
matrix.run(function()
  assert(matrix.check(client:cross_signing_status()).is_device_signed)
  client:close()
end)
