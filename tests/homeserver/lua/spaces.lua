-- Spaces: made, filled, ordered and walked.
local T = ...
local matrix, people = T.matrix, require "people"
local check = matrix.check
local refused, state = people.refused, people.state

T.test("a space holds rooms in order", function()
  people.meet(function(alice, bob, _, bob_id)
    local space_id = check(alice:create_space {
      name = "Drinks", topic = "all of them", preset = "public_chat", room_alias_name = people.unused "space",
      avatar_url = "mxc://localhost/cup", invite = { bob_id },
    }).space_id
    T.equal(state(alice, space_id, "m.room.create").type, "m.space")
    T.equal(state(alice, space_id, "m.room.power_levels").events_default, 100)
    local rooms = {}
    for index = 1, 3 do
      rooms[index] = check(alice:create_room { name = "Room " .. index, preset = "public_chat" }).room_id
    end
    check(alice:add_space_child(space_id, rooms[1]))
    check(alice:add_space_child(space_id, rooms[2], { order = "b", suggested = true }))
    check(alice:add_space_child(space_id, rooms[3], { order = "a", via = { "localhost", "example.org" } }))
    local children = check(alice:space_children(space_id)).children
    T.equal(#children, 3)
    T.equal(children[1].room_id, rooms[3])
    T.equal(children[2].room_id, rooms[2])
    T.equal(children[3].room_id, rooms[1])
    T.same(children[1].via, { "localhost", "example.org" })
    T.same(children[3].via, { "localhost" })
    T.equal(children[2].suggested, true)
    T.equal(children[1].order, "a")
    check(alice:remove_space_child(space_id, rooms[3]))
    T.equal(#check(alice:space_children(space_id, { reload = true })).children, 2)
    local room = people.membership(bob, space_id, "invite")
    T.equal(room.room_type, "m.space")
    check(bob:join_room(space_id))
    refused(bob:add_space_child(space_id, rooms[3]), "M_FORBIDDEN")
    refused(bob:send_text(space_id, "hello"), "M_FORBIDDEN")
    people.membership(bob, space_id, "join")
    T.equal(check(bob:space_children(space_id)).children[1].room_id, rooms[2])
  end)
end)

T.test("rooms name the spaces they are in, one of them above all", function()
  people.meet(function(alice)
    local room_id = check(alice:create_room { preset = "public_chat" }).room_id
    local space_id = check(alice:create_space { name = "Drinks" }).space_id
    local other = check(alice:create_space { name = "Other" }).space_id
    check(alice:add_space_parent(room_id, other, { canonical = true }))
    check(alice:add_space_parent(room_id, space_id, { canonical = true }))
    local parents = check(alice:space_parents(room_id, { reload = true })).parents
    T.equal(#parents, 2)
    T.equal(parents[1].space_id, space_id)
    T.equal(parents[1].canonical, true)
    T.same(parents[1].via, { "localhost" })
    T.equal(parents[2].canonical, false)
    check(alice:remove_space_parent(room_id, other))
    check(alice:add_space_parent(room_id, space_id, { via = { "example.org" } }))
    parents = check(alice:space_parents(room_id)).parents
    T.equal(#parents, 1)
    T.same(parents[1].via, { "example.org" })
  end)
end)

T.test("spaces are refused what they cannot be, and made as they are wanted", function()
  people.meet(function(alice, _, alice_id, bob_id)
    local space_id = check(alice:create_space { name = "Drinks" }).space_id
    local room_id = check(alice:create_room()).room_id
    refused(alice:add_space_child(space_id, space_id), "E_INVALID_ARGUMENT", "^room_id: ")
    refused(alice:add_space_child("tea", room_id), "E_INVALID_ARGUMENT", "^space_id: ")
    refused(alice:add_space_child(space_id, room_id, { order = "\195\164" }), "E_INVALID_ARGUMENT", "^order: ")
    refused(alice:add_space_child(space_id, room_id, { via = {} }), "E_INVALID_ARGUMENT", "^via: ")
    refused(alice:create_space { join_rule = "restricted" }, "E_INVALID_ARGUMENT", "^allow: ")
    refused(alice:create_space {
      room_version = "12", power_level_content_override = { users = { [alice_id] = 100 } },
    }, "E_INVALID_ARGUMENT", "^power_level_content_override: ")
    local closed = check(alice:create_space {
      power_level_content_override = { invite = 60, users = { ["@carol:localhost"] = 70 } },
      federate = false, guest_access = "forbidden", room_version = "12", additional_creators = { bob_id },
      initial_state = { { type = "org.example.colour", content = { colour = "green" } } },
    }).space_id
    T.equal(state(alice, closed, "m.room.create")["m.federate"], false)
    T.same(check(alice:power_levels(closed)).creators, { alice_id, bob_id })
    local levels = state(alice, closed, "m.room.power_levels")
    T.equal(levels.events_default, 100)
    T.equal(levels.invite, 60)
    T.same(levels.users, { ["@carol:localhost"] = 70 })
    T.equal(state(alice, closed, "m.room.guest_access").guest_access, "forbidden")
    T.equal(state(alice, closed, "org.example.colour").colour, "green")
  end)
end)

T.test("a space is walked page by page, also by who is not in its rooms", function()
  people.meet(function(alice, bob)
    local space_id = check(alice:create_space { name = "Root", preset = "public_chat", history_visibility = "world_readable" }).space_id
    local inner = check(alice:create_space { name = "Inner", preset = "public_chat" }).space_id
    check(alice:add_space_child(space_id, inner, { order = "z" }))
    local expected = { [space_id] = true, [inner] = true }
    for index = 1, 5 do
      local room_id = check(alice:create_room { name = "Room " .. index, preset = "public_chat", topic = "t" }).room_id
      check(alice:add_space_child(index < 5 and space_id or inner, room_id, { suggested = index == 1 }))
      expected[room_id] = true
    end
    local pages, count, token = 0, 0, nil
    repeat
      local page = check(bob:space_hierarchy(space_id, { limit = 3, from_token = token }))
      for _, room in ipairs(page.rooms) do
        T.equal(expected[room.room_id], true)
        expected[room.room_id] = nil
        count = count + 1
        if count == 1 then
          T.equal(room.room_id, space_id)
          T.equal(room.room_type, "m.space")
          T.equal(#room.children, 5)
          T.equal(room.children[1].room_id, inner)
          T.equal(type(room.children[1].origin_server_ts), "number")
        elseif room.room_id ~= inner then
          T.equal(room.topic, "t")
          T.equal(#room.children, 0)
        end
      end
      pages, token = pages + 1, page.next_batch
    until not token
    T.equal(count, 7)
    T.equal(pages, 3)
    T.equal(next(expected), nil)
    T.equal(#check(bob:space_hierarchy(space_id, { max_depth = 1 })).rooms, 6)
    T.equal(#check(bob:space_hierarchy(space_id, { suggested_only = true })).rooms, 2)
  end)
end)

T.test("a walk that cannot be is refused", function()
  people.meet(function(alice)
    local space_id = check(alice:create_space()).space_id
    refused(alice:space_hierarchy(space_id, { limit = 0 }), "E_INVALID_ARGUMENT", "^limit: ")
    refused(alice:space_hierarchy(space_id, { max_depth = -1 }), "E_INVALID_ARGUMENT", "^max_depth: ")
    refused(alice:space_hierarchy "!nowhere:localhost", "M_FORBIDDEN")
  end)
end)
