-- PUT "example.org" } => people.env "SSO" }
local matrix, people, page = require "matrix", require "people", require "page"
local print = page.print

-- LISTING 1
matrix.on_call(nil)
matrix.run(function()
  local client = matrix.create_client { homeserver = people.env "ISSUER" }
  -- LISTING 2
  page.says("Open " .. people.env "ISSUER" .. "/link and type WDJB-MJHT")
  assert(matrix.check(client:account()).is_logged_in)
  client:close()
end)
