-- Aliases, the public directory, rooms before they are joined, tags and marks.
local T = ...
local matrix, people = T.matrix, require "people"
local check = matrix.check
local refused, state = people.refused, people.state

local function has(list, value)
  for _, each in ipairs(list) do
    if each == value then
      return true
    end
  end
  return false
end

local function alias_of(localpart)
  return "#" .. localpart .. ":localhost"
end

T.test("aliases are made, resolved, listed, published and deleted", function()
  people.meet(function(alice, bob)
    local room_id = check(alice:create_room()).room_id
    local first, second = alias_of(people.unused "first"), alias_of(people.unused "second")
    refused(bob:resolve_room_alias(first), "M_NOT_FOUND")
    check(alice:create_room_alias(room_id, first))
    check(alice:create_room_alias(room_id, second))
    T.equal(alice:create_room_alias(room_id, first).ok, false)
    local found = check(bob:resolve_room_alias(first))
    T.equal(found.room_id, room_id)
    T.same(found.via, { "localhost" })
    local aliases = check(alice:room_aliases(room_id)).aliases
    T.equal(#aliases == 2 and has(aliases, first) and has(aliases, second), true)
    refused(bob:room_aliases(room_id), "M_FORBIDDEN")
    check(alice:set_canonical_alias(room_id, { alias = first, alt_aliases = { second } }))
    local published = check(alice:canonical_alias(room_id, { reload = true }))
    T.equal(published.alias, first)
    T.same(published.alt_aliases, { second })
    refused(bob:delete_room_alias(second), "M_FORBIDDEN")
    check(alice:delete_room_alias(second))
    refused(bob:resolve_room_alias(second), "M_NOT_FOUND")
    refused(alice:create_room_alias(room_id, "tea"), "E_INVALID_ARGUMENT", "^alias: ")
  end)
end)

T.test("the public directory is searched page by page", function()
  people.meet(function(alice, bob)
    local word = people.unused "tea"
    local rooms = {}
    for number = 1, 3 do
      local options = { name = word .. " " .. number, preset = "public_chat" }
      options.room_type = number == 3 and "org.example.kind" or nil
      rooms[number] = check(alice:create_room(options)).room_id
      T.equal(check(bob:directory_visibility(rooms[number])).visibility, "private")
      check(alice:set_directory_visibility(rooms[number], "public"))
    end
    refused(bob:set_directory_visibility(rooms[1], "private"), "M_FORBIDDEN")
    local seen, token = {}, nil
    repeat
      local page = check(bob:public_rooms { search_term = word, limit = 2, from_token = token })
      for _, room in ipairs(page.rooms) do
        seen[#seen + 1] = room.room_id
        T.equal(room.name:sub(1, #word), word)
        T.equal(room.joined_member_count, 1)
        T.equal(room.join_rule, "public")
        T.equal(room.is_world_readable, false)
      end
      token = page.next_batch
    until not token
    T.equal(#seen, 3)
    local plain = check(bob:public_rooms { search_term = word, room_types = { "" } }).rooms
    T.equal(#plain, 2)
    local kind = check(bob:public_rooms { search_term = word, room_types = { "org.example.kind" }, server = "localhost" })
    T.equal(kind.rooms[1].room_id, rooms[3])
    T.equal(kind.rooms[1].room_type, "org.example.kind")
    check(alice:set_directory_visibility(rooms[3], "private"))
    T.equal(check(bob:directory_visibility(rooms[3])).visibility, "private")
    refused(bob:public_rooms { limit = 0 }, "E_INVALID_ARGUMENT", "^limit: ")
    refused(bob:public_rooms { include_all_networks = true, third_party_instance_id = "irc" }, "E_INVALID_ARGUMENT", "^third_party_instance_id: ")
    refused(bob:directory_visibility "!nowhere:localhost", "M_NOT_FOUND")
  end)
end)

T.test("a room is looked at before it is joined", function()
  people.meet(function(alice, bob, alice_id)
    local localpart = people.unused "look"
    local joined = #check(bob:joined_rooms()).room_ids
    local room_id = check(alice:create_room {
      name = "Tea", topic = "leaves", preset = "public_chat", room_alias_name = localpart,
      avatar_url = "mxc://localhost/leaf", history_visibility = "world_readable", guest_access = "can_join",
      encrypted = true, room_version = "11",
    }).room_id
    for _, name in ipairs { room_id, alias_of(localpart) } do
      local room = check(bob:room_summary(name, { via = { "localhost" } })).room
      T.equal(room.room_id, room_id)
      T.equal(room.name, "Tea")
      T.equal(room.topic, "leaves")
      T.equal(room.canonical_alias, alias_of(localpart))
      T.equal(room.avatar_url, "mxc://localhost/leaf")
      T.equal(room.joined_member_count, 1)
      T.equal(room.join_rule, "public")
      T.equal(room.encryption, "m.megolm.v1.aes-sha2")
      T.equal(room.version, "11")
      T.equal(room.is_world_readable, true)
      T.equal(room.guest_can_join, true)
      T.same(room.allowed_room_ids, {})
    end
    -- Who may read it may see its state too.
    T.equal(state(bob, room_id, "m.room.name").name, "Tea")
    T.equal(#check(bob:state_events(room_id, { type = "m.room.create" })).state, 1)
    local last = check(alice:set_room_topic(room_id, "leaves again")).event_id
    T.equal(check(bob:history(room_id, { limit = 1 })).events[1].event_id, last)
    T.equal(bob:cursor(room_id):next().event_id, last)
    T.equal(check(bob:event_context(room_id, last)).event.event_id, last)
    T.equal(check(bob:members(room_id)).members[1].user_id, alice_id)
    T.equal(#check(bob:joined_rooms()).room_ids, joined)
  end)
end)

T.test("who may join a room may look at it", function()
  people.meet(function(alice, bob, _, bob_id)
    local club = check(alice:create_room { invite = { bob_id } }).room_id
    local closed = check(alice:create_room { join_rule = "restricted", allow = { club } }).room_id
    refused(bob:room_summary(closed), "M_NOT_FOUND")
    check(bob:join_room(club))
    T.same(check(bob:room_summary(closed)).room.allowed_room_ids, { club })
    T.equal(check(bob:room_summary(club)).room.membership, "join")
    refused(bob:room_summary "tea", "E_INVALID_ARGUMENT", "^room_id_or_alias: ")
    refused(bob:state_events(closed), "M_FORBIDDEN")
  end)
end)

T.test("rooms are tagged and marked", function()
  people.meet(function(alice)
    local room_id = check(alice:create_room()).room_id
    T.same(check(alice:room_tags(room_id)).tags, {})
    check(alice:set_room_tag(room_id, "m.favourite", { order = 0.25 }))
    check(alice:set_room_tag(room_id, "u.work/tea"))
    T.same(check(alice:room_tags(room_id)).tags, { ["m.favourite"] = { order = 0.25 }, ["u.work/tea"] = {} })
    check(alice:mark_room_unread(room_id))
    local room = people.room_until(alice, room_id, function(room)
      return room.tags and room.is_marked_unread
    end)
    T.equal(room.tags["m.favourite"].order, 0.25)
    check(alice:delete_room_tag(room_id, "u.work/tea"))
    T.same(check(alice:room_tags(room_id, { reload = true })).tags, { ["m.favourite"] = { order = 0.25 } })
    check(alice:delete_room_tag(room_id, "m.favourite"))
    check(alice:mark_room_unread(room_id, { is_unread = false }))
    people.room_until(alice, room_id, function(room)
      return not room.tags and not room.is_marked_unread
    end)
    T.same(check(alice:room_tags(room_id)).tags, {})
    -- Another client that knows the early name alone is heard, and told.
    check(alice:set_account_data("com.famedly.marked_unread", { unread = true }, { room_id = room_id }))
    people.room_until(alice, room_id, function(room)
      return room.is_marked_unread
    end)
    check(alice:mark_room_unread(room_id, { is_unread = false }))
    local early = check(alice:account_data("com.famedly.marked_unread", { room_id = room_id, reload = true }))
    T.equal(early.content.unread, false)
    refused(alice:set_room_tag(room_id, "u.x", { order = 1.5 }), "E_INVALID_ARGUMENT", "^order: ")
    refused(alice:set_room_tag(room_id, ""), "E_INVALID_ARGUMENT", "^tag: ")
  end)
end)
