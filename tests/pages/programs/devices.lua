local matrix, people, page = require "matrix", require "people", require "page"
local print, password = page.print, people.env "PASSWORD"

matrix.run(function()
  people.with_user("", function(client)
    -- LISTING 1
    assert(#page.printed > 1)
    assert(#matrix.check(client:own_devices()).devices == 1)
  end)
end)
