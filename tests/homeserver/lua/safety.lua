-- Reports, and users who are ignored, from Lua.
local T = ...
local matrix = T.matrix
local people = require "people"
local check = matrix.check

T.test("reports reach the homeserver", function()
  people.in_room(function(alice, bob, room_id)
    local event_id = check(bob:send_text(room_id, "rude")).event_id
    check(alice:report_event(room_id, event_id, { reason = "rude" }))
    check(alice:report_event(room_id, event_id))
    check(alice:report_room(room_id, { reason = "rude people" }))
    check(alice:report_user(people.bob_id, { reason = "rude" }))
    T.equal(alice:report_event(room_id, "$nowhere").error.code, "M_NOT_FOUND")
    T.equal(alice:report_room("!nowhere:localhost").ok, false)
  end)
end)

T.test("who is ignored is not heard", function()
  people.in_room(function(alice, bob, room_id)
    T.same(check(alice:ignored_users()).user_ids, {})
    check(alice:sync_once())
    check(alice:ignore_user(people.bob_id))
    check(alice:ignore_user(people.bob_id))
    check(alice:ignore_user("@carol:localhost"))
    T.same(check(alice:ignored_users { reload = true }).user_ids, { "@carol:localhost", people.bob_id })
    local heard = {}
    alice:subscribe("message", function(event)
      heard[#heard + 1] = event.body
    end)
    local muted = check(bob:send_text(room_id, "unheard")).event_id
    check(alice:send_text(room_id, "my own"))
    people.sync_until(alice, function()
      return #heard > 0
    end)
    T.same(heard, { "my own" })
    T.same(check(alice:ignored_users()).user_ids, { "@carol:localhost", people.bob_id })
    T.equal(check(alice:unignore_user(people.bob_id)).was_ignored, true)
    T.equal(check(alice:unignore_user(people.bob_id)).was_ignored, false)
    check(bob:send_text(room_id, "heard"))
    people.sync_until(alice, function()
      return #heard > 1
    end)
    T.same(heard, { "my own", "heard" })
    T.matches(muted, "^%$")
    T.equal(alice:ignore_user("bob").error.code, "E_INVALID_ARGUMENT")
    T.equal(alice:ignore_user(people.alice_id).error.code, "E_INVALID_ARGUMENT")
  end)
end)

T.test("many changes at once are all made", function()
  people.in_room(function(alice)
    local left, before = 20, #check(alice:ignored_users { reload = true }).user_ids
    for number = 1, 20 do
      alice:ignore_user("@user" .. number .. ":localhost", function(payload)
        check(payload)
        left = left - 1
      end)
    end
    while left > 0 do
      check(alice:ping { delay_ms = 10 })
    end
    T.equal(#check(alice:ignored_users { reload = true }).user_ids - before, 20)
  end)
end)
