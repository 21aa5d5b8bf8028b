-- Typing, receipts and read markers, from Lua: what alice does, bob is told.
local T = ...
local matrix = T.matrix
local people = require "people"
local check = matrix.check

-- Hears a kind of event that is no room event: a function that syncs until wanted(event) holds for one, and gives it.
local function listener(client, kind)
  local heard = {}
  client:subscribe(kind, { room_id = people.room_id }, function(event)
    heard[#heard + 1] = event
  end)
  return function(wanted)
    local found
    people.sync_until(client, function()
      while heard[1] and not found do
        local event = table.remove(heard, 1)
        found = wanted(event) and event
      end
      return found
    end)
    return found
  end
end

T.test("typing is seen until it is taken back", function()
  people.in_room(function(alice, bob, room_id)
    local heard = listener(bob, "typing")
    check(alice:set_typing(room_id, true))
    T.same(heard(function(event)
      return #event.user_ids > 0
    end).user_ids, { people.alice_id })
    check(alice:set_typing(room_id, true))
    check(alice:set_typing(room_id, false))
    heard(function(event)
      return #event.user_ids == 0
    end)
    check(alice:set_typing(room_id, false))
    T.equal(alice:set_typing(room_id, true, { timeout_ms = 10 }).error.code, "E_INVALID_ARGUMENT")
    T.equal(alice:set_typing("!nowhere:localhost", true).error.code, "M_FORBIDDEN")
  end)
end)

T.test("receipts: public, private, of a thread", function()
  people.in_room(function(alice, bob, room_id)
    local root = check(bob:send_text(room_id, "read me")).event_id
    local inside = check(bob:send_text(room_id, "me too", { thread_id = root })).event_id
    local theirs, own = listener(bob, "receipt"), listener(alice, "receipt")
    check(alice:send_receipt(room_id, root, { is_private = true }))
    local private = own(function(event)
      return event.user_id == people.alice_id
    end)
    T.equal(private.type, "m.read.private")
    T.equal(private.event_id, root)
    T.equal(private.is_own, true)
    check(alice:send_receipt(room_id, inside, { thread_id = root }))
    local told = theirs(function(event)
      return event.user_id == people.alice_id
    end)
    -- The private one did not come before it.
    T.equal(told.type, "m.read")
    T.equal(told.event_id, inside)
    T.equal(told.thread_id, root)
    check(alice:send_receipt(room_id, root, { thread_id = "main" }))
    T.equal(theirs(function(event)
      return event.thread_id == "main"
    end).event_id, root)
    check(alice:send_receipt(room_id, inside))
    T.equal(theirs(function(event)
      return event.thread_id == nil and event.user_id == people.alice_id
    end).event_id, inside)
    T.equal(alice:send_receipt(room_id, root, { thread_id = "" }).error.code, "M_INVALID_PARAM")
  end)
end)

T.test("read markers", function()
  people.in_room(function(alice, bob, room_id)
    T.equal(check(alice:fully_read(room_id)).event_id, nil)
    local first = check(bob:send_text(room_id, "one")).event_id
    local second = check(bob:send_text(room_id, "two")).event_id
    local heard = listener(bob, "receipt")
    check(alice:set_read_markers(room_id, { fully_read = first, read = second, read_private = second }))
    heard(function(event)
      return event.user_id == people.alice_id and event.event_id == second
    end)
    T.equal(check(alice:fully_read(room_id)).event_id, first)
    check(alice:sync_once())
    T.equal(check(alice:fully_read(room_id)).event_id, first)
    check(alice:set_read_markers(room_id, { fully_read = second }))
    T.equal(check(alice:fully_read(room_id, { reload = true })).event_id, second)
    T.equal(alice:set_read_markers(room_id).error.code, "E_INVALID_ARGUMENT")
    T.equal(alice:fully_read("!nowhere:localhost").ok, true)
  end)
end)
