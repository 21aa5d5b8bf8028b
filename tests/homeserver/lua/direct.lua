-- Direct chats, and m.direct as others leave it behind.
local T = ...
local matrix, people = T.matrix, require "people"
local check = matrix.check
local refused, state = people.refused, people.state

local function direct(client)
  return check(client:account_data("m.direct", { reload = true })).content
end

T.test("a direct chat is made once, and accepted once", function()
  people.meet(function(alice, bob, alice_id, bob_id)
    T.equal(check(alice:find_direct_room(bob_id)).room_id, nil)
    local made = check(alice:direct_room(bob_id))
    T.equal(made.is_new, true)
    T.equal(state(alice, made.room_id, "m.room.member", bob_id).is_direct, true)
    T.same(direct(alice), { [bob_id] = { made.room_id } })
    local again = check(alice:direct_room(bob_id))
    T.equal(again.room_id, made.room_id)
    T.equal(again.is_new, false)
    T.equal(check(alice:find_direct_room(bob_id)).room_id, made.room_id)
    -- The other accepts instead of making a second one.
    people.membership(bob, made.room_id, "invite")
    local accepted = check(bob:direct_room(alice_id))
    T.equal(accepted.room_id, made.room_id)
    T.equal(accepted.is_new, false)
    T.same(direct(bob), { [alice_id] = { made.room_id } })
    T.equal(people.room_until(bob, made.room_id, function(room)
      return room.membership == "join" and room.is_direct
    end).is_direct, true)
    refused(alice:direct_room(alice_id), "E_INVALID_ARGUMENT", "own")
    refused(alice:direct_room "bob", "E_INVALID_ARGUMENT", "^user_id: ")
  end)
end)

T.test("who joins an invitation to a direct chat has it in m.direct", function()
  people.meet(function(alice, bob, alice_id, bob_id)
    local room_id = check(alice:create_room { invite = { bob_id }, is_direct = true }).room_id
    T.same(direct(alice)[bob_id][#direct(alice)[bob_id]], room_id)
    people.membership(bob, room_id, "invite")
    check(bob:join_room(room_id))
    local rooms = direct(bob)[alice_id]
    T.equal(rooms[#rooms], room_id)
  end)
end)

T.test("rooms that do not do any more are passed over", function()
  people.meet(function(alice, bob, alice_id, bob_id)
    check(alice:set_account_data("m.direct", {}))
    -- The other has left.
    local left = check(alice:direct_room(bob_id)).room_id
    check(bob:join_room(left))
    check(bob:leave_room(left))
    T.equal(check(alice:find_direct_room(bob_id)).room_id, nil)
    -- The user has left.
    local own = check(alice:direct_room(bob_id)).room_id
    T.equal(own ~= left, true)
    check(alice:leave_room(own))
    -- Another room has replaced it.
    local old = check(alice:direct_room(bob_id)).room_id
    check(bob:join_room(old))
    local new = check(alice:upgrade_room(old, "12")).successor_room_id
    T.equal(check(alice:find_direct_room(bob_id)).room_id ~= old, true)
    check(alice:invite_user(new, bob_id))
    check(alice:add_direct_room(bob_id, new))
    T.equal(check(alice:direct_room(bob_id)).room_id, new)
    -- Somebody else listens: a room for two is better, whatever is newer.
    local crowd = check(alice:create_room { invite = { bob_id, "@carol:localhost" } }).room_id
    check(bob:join_room(crowd))
    check(alice:add_direct_room(bob_id, crowd))
    T.equal(check(alice:direct_room(bob_id)).room_id, new)
    check(alice:remove_direct_room(new))
    T.equal(check(alice:direct_room(bob_id)).room_id, crowd)
    check(alice:remove_direct_room(crowd))
    check(alice:remove_direct_room(crowd))
    local rooms = check(alice:direct_rooms()).rooms
    T.equal(#rooms, 1)
    T.equal(rooms[1].user_id, bob_id)
    for _, room_id in ipairs(rooms[1].room_ids) do
      T.equal(room_id ~= new and room_id ~= crowd, true)
    end
  end)
end)

T.test("a malformed m.direct is mended where it has to be, and kept elsewhere", function()
  people.meet(function(alice, _, _, bob_id)
    local content = {
      [bob_id] = { room = true },
      ["@carol:localhost"] = "!tea",
      ["@dave:localhost"] = { 7, "!a:b", "!a:b", { 1 } },
    }
    check(alice:set_account_data("m.direct", content))
    local rooms = check(alice:direct_rooms()).rooms
    T.equal(#rooms, 1)
    T.same(rooms[1].room_ids, { "!a:b" })
    local room_id = check(alice:direct_room(bob_id)).room_id
    content[bob_id] = { room_id }
    T.same(direct(alice), content)
    check(alice:remove_direct_room("!a:b"))
    content["@dave:localhost"] = nil
    T.same(direct(alice), content)
  end)
end)

T.test("a direct chat is encrypted unless it is not wanted", function()
  people.meet(function(alice, _, _, bob_id)
    for _, options in ipairs { {}, { encrypted = true } } do
      check(alice:set_account_data("m.direct", {}))
      local room_id = check(alice:direct_room(bob_id, options)).room_id
      T.equal(state(alice, room_id, "m.room.encryption").algorithm, "m.megolm.v1.aes-sha2")
      T.equal(check(alice:direct_room(bob_id)).room_id, room_id)
    end
    check(alice:set_account_data("m.direct", {}))
    local room_id = check(alice:direct_room(bob_id, { encrypted = false })).room_id
    refused(alice:state_event(room_id, "m.room.encryption"), "M_NOT_FOUND")
    -- It is there already: nobody is given a second one.
    T.equal(check(alice:direct_room(bob_id, { encrypted = true })).room_id, room_id)
  end)
end)

T.test("a client without encryption makes a direct chat that it can write to", function()
  people.meet(function(_, _, _, bob_id)
    matrix.with_client(people.session("", { encryption = false }), function(plain)
      check(plain:set_account_data("m.direct", {}))
      local room_id = check(plain:direct_room(bob_id)).room_id
      refused(plain:state_event(room_id, "m.room.encryption"), "M_NOT_FOUND")
      check(plain:send_text(room_id, "hello"))
    end)
  end)
end)

T.test("several at once make one room, and one list", function()
  people.meet(function(alice, _, _, bob_id)
    check(alice:set_account_data("m.direct", {}))
    local rooms, added = {}, 0
    for index = 1, 4 do
      alice:direct_room(bob_id, function(payload)
        rooms[index] = payload.room_id
      end)
      alice:add_direct_room("@user" .. index .. ":localhost", "!room" .. index, function(payload)
        added = added + (payload.ok and 1 or 0)
      end)
    end
    while #rooms < 4 or added < 4 do
      check(alice:ping { delay_ms = 20 })
    end
    for index = 2, 4 do
      T.equal(rooms[index], rooms[1])
    end
    local content = direct(alice)
    T.same(content[bob_id], { rooms[1] })
    for index = 1, 4 do
      T.same(content["@user" .. index .. ":localhost"], { "!room" .. index })
    end
  end)
end)
