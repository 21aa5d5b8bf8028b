local matrix, people = require "matrix", require "people"

people.in_room(function(client, bob, room_id)
  local event = matrix.check(bob:send_text(room_id, "read this"))
  local read
  bob:subscribe("receipt", { room_id = room_id }, function(receipt)
    read = not receipt.is_own and receipt.event_id or read
  end)
  -- LISTING 1
  people.sync_until(bob, function()
    return read == event.event_id
  end)
end)
