-- Rooms: made, entered, left, named, ruled and replaced, by two users.
local T = ...
local matrix, people = T.matrix, require "people"
local check = matrix.check
local refused, state = people.refused, people.state

local function find(members, user_id)
  for _, member in ipairs(members) do
    if member.user_id == user_id then
      return member
    end
  end
end

local function check_states(alice, room_id, localpart)
  T.equal(state(alice, room_id, "m.room.name").name, "Tea")
  T.equal(state(alice, room_id, "m.room.topic").topic, "leaves")
  T.equal(state(alice, room_id, "m.room.avatar").url, "mxc://localhost/leaf")
  T.equal(state(alice, room_id, "m.room.join_rules").join_rule, "knock")
  T.equal(state(alice, room_id, "m.room.history_visibility").history_visibility, "invited")
  T.equal(state(alice, room_id, "m.room.guest_access").guest_access, "can_join")
  T.equal(state(alice, room_id, "m.room.encryption").algorithm, "m.megolm.v1.aes-sha2")
  T.equal(state(alice, room_id, "m.room.power_levels").invite, 30)
  T.equal(state(alice, room_id, "org.example.state", "key").n, 1)
  T.same(state(alice, room_id, "org.example.plain"), {})
  T.equal(state(alice, room_id, "m.room.canonical_alias").alias, "#" .. localpart .. ":localhost")
  local create = state(alice, room_id, "m.room.create")
  T.equal(create["m.federate"], false)
  T.equal(create.type, "org.example.tea")
  T.equal(create.room_version, "11")
  T.equal(create["org.example.kind"], "green")
end

T.test("a room is made of all its options", function()
  people.meet(function(alice, bob, _, bob_id)
    local localpart = people.unused "room"
    local room_id = check(alice:create_room {
      name = "Tea",
      topic = "leaves",
      room_alias_name = localpart,
      preset = "public_chat",
      invite = { bob_id },
      room_version = "11",
      room_type = "org.example.tea",
      federate = false,
      avatar_url = "mxc://localhost/leaf",
      join_rule = "knock",
      history_visibility = "invited",
      guest_access = "can_join",
      encrypted = true,
      power_level_content_override = { invite = 30 },
      creation_content = { ["org.example.kind"] = "green" },
      initial_state = {
        { type = "org.example.state", state_key = "key", content = { n = 1 } },
        { type = "org.example.plain", content = {} },
      },
    }).room_id
    check_states(alice, room_id, localpart)
    T.equal(people.membership(bob, room_id, "invite").room_id, room_id)
    refused(alice:create_room { room_alias_name = localpart }, "M_ROOM_IN_USE")
    refused(alice:create_room { room_version = "none" }, "M_UNSUPPORTED_ROOM_VERSION")
  end)
end)

T.test("version 12 has creators instead of levels", function()
  people.meet(function(alice, _, alice_id, bob_id)
    local options = { room_version = "12", additional_creators = { bob_id }, invite = { bob_id } }
    local room_id = check(alice:create_room(options)).room_id
    T.same(check(alice:power_levels(room_id)).creators, { alice_id, bob_id })
    refused(alice:set_power_level(room_id, bob_id, 50), "E_INVALID_ARGUMENT", "^user_id: .* creator")
    refused(alice:set_power_levels(room_id, { users = { [alice_id] = 1 } }), "E_INVALID_ARGUMENT", "^users: ")
    check(alice:set_power_level(room_id, "@carol:localhost", 50))
    T.same(state(alice, room_id, "m.room.power_levels").users, { ["@carol:localhost"] = 50 })
  end)
end)

T.test("options that contradict each other are refused by name", function()
  people.meet(function(alice, _, _, bob_id)
    local wrong = {
      { "^room_alias_name: ", { room_alias_name = "#tea:localhost" } },
      { "^invite%[2%]: ", { invite = { bob_id, "bob" } } },
      { "^is_direct: ", { is_direct = true } },
      { "^additional_creators: ", { room_version = "11", additional_creators = { bob_id } } },
      { "^additional_creators%[1%]: ", { additional_creators = { "bob" } } },
      { "^allow: ", { join_rule = "restricted" } },
      { "^allow: ", { join_rule = "public", allow = { "!room" } } },
      { "^allow: ", { allow = { "!room" } } },
      { "^allow%[1%]: ", { join_rule = "restricted", allow = { "#room:localhost" } } },
      { "^join_rule: ", { join_rule = "knock_restricted", allow = { "!room" }, room_version = "9" } },
      { "^avatar_url: ", { avatar_url = "https://localhost/leaf" } },
      { "^creation_content: ", { creation_content = { room_version = "11" } } },
      { "^creation_content: must be a map", { creation_content = { 1 } } },
      { "^initial_state%[1%]: ", { initial_state = { { type = "m.x" } } } },
      { "^initial_state%[1%]: .* topic", { topic = "x", initial_state = { { type = "m.room.topic", content = {} } } } },
      { "^initial_state%[1%]: .* encrypted", { encrypted = true, initial_state = { { type = "m.room.encryption", content = {} } } } },
      { "^power_level_content_override: ", { power_level_content_override = { 1 } } },
      { "^power_level_content_override: .* no level", { additional_creators = { bob_id }, power_level_content_override = { users = { [bob_id] = 1 } } } },
      { "^invite_3pid%[1%]: ", { invite_3pid = { { medium = "email" } } } },
    }
    for _, case in ipairs(wrong) do
      refused(alice:create_room(case[2]), "E_INVALID_ARGUMENT", case[1])
    end
  end)
end)

T.test("users come, go and are sent away", function()
  people.meet(function(alice, bob, alice_id, bob_id)
    local room_id = check(alice:create_room { name = "Door" }).room_id
    local via = { via = { "localhost" } }
    refused(bob:join_room(room_id, via), "M_FORBIDDEN")
    check(alice:invite_user(room_id, bob_id, { reason = "come in" }))
    people.membership(bob, room_id, "invite")
    T.equal(check(bob:room_details(room_id)).membership_reason, "come in")
    check(bob:join_room(room_id, { via = { "localhost" }, reason = "thanks" }))
    T.equal(state(alice, room_id, "m.room.member", bob_id).reason, "thanks")
    local joined = check(alice:joined_members(room_id)).members
    T.equal(#joined, 2)
    T.equal(type(find(joined, bob_id).displayname), "string")
    T.equal(#check(alice:members(room_id, { not_membership = "join" })).members, 0)
    check(alice:kick_user(room_id, bob_id, { reason = "out" }))
    people.membership(bob, room_id, "leave")
    T.equal(check(bob:room_details(room_id)).membership_reason, "out")
    T.equal(#check(alice:members(room_id, { membership = "leave", reload = true })).members, 1)
    check(alice:invite_user(room_id, bob_id))
    check(bob:join_room(room_id))
    check(alice:ban_user(room_id, bob_id, { reason = "for good" }))
    people.membership(bob, room_id, "ban")
    T.equal(bob:join_room(room_id).ok, false)
    T.equal(alice:invite_user(room_id, bob_id).ok, false)
    check(alice:unban_user(room_id, bob_id, { reason = "again" }))
    T.equal(state(alice, room_id, "m.room.member", bob_id).reason, "again")
  end)
end)

T.test("users knock, are let in, leave and forget", function()
  people.meet(function(alice, bob, _, bob_id)
    local room_id = check(alice:create_room { name = "Door" }).room_id
    check(alice:set_join_rule(room_id, "knock"))
    check(bob:knock_room(room_id, { via = { "localhost" }, reason = "please" }))
    local knock = state(alice, room_id, "m.room.member", bob_id)
    T.equal(knock.membership, "knock")
    T.equal(knock.reason, "please")
    check(alice:kick_user(room_id, bob_id, { reason = "not today" }))
    T.equal(state(alice, room_id, "m.room.member", bob_id).membership, "leave")
    check(bob:knock_room(room_id))
    check(alice:invite_user(room_id, bob_id))
    check(bob:join_room(room_id))
    T.equal(people.has_joined(bob, room_id), true)
    check(bob:leave_room(room_id, { reason = "bye" }))
    T.equal(state(alice, room_id, "m.room.member", bob_id).reason, "bye")
    check(bob:forget_room(room_id))
    -- The next sync tells that the user has left; that is no reason to list it once more.
    check(bob:sync_once())
    T.equal(people.room(bob, room_id), nil)
    T.equal(bob:room_details(room_id).error.code, "E_UNKNOWN_ROOM")
    check(alice:invite_user(room_id, bob_id))
    T.equal(people.membership(bob, room_id, "invite").name, "Door")
    check(bob:join_room(room_id))
    T.equal(people.membership(bob, room_id, "join").name, "Door")
    refused(alice:kick_user(room_id, "bob"), "E_INVALID_ARGUMENT", "^user_id: ")
    refused(bob:join_room("tea"), "E_INVALID_ARGUMENT", "^room_id_or_alias: ")
    refused(bob:knock_room("#tea"), "E_INVALID_ARGUMENT", "^room_id_or_alias: ")
    refused(bob:join_room "#nobody-home:localhost", "M_NOT_FOUND")
  end)
end)

T.test("members as they were", function()
  people.meet(function(alice, bob, _, bob_id)
    local room_id = check(alice:create_room { preset = "public_chat" }).room_id
    local before = check(alice:sync_once()).next_batch
    check(bob:join_room(room_id))
    local at = check(alice:members(room_id, { at = before })).members
    T.equal(find(at, bob_id), nil)
    check(alice:sync_once())
    T.equal(find(check(alice:members(room_id, { reload = true })).members, bob_id).membership, "join")
  end)
end)

T.test("a room gets its name, topic, picture and rules", function()
  people.meet(function(alice, bob, _, bob_id)
    local room_id = check(alice:create_room { invite = { bob_id } }).room_id
    check(bob:join_room(room_id))
    T.matches(check(alice:set_room_name(room_id, "Tea")).event_id, "^%$")
    check(alice:set_room_topic(room_id, "green", { html = "<b>green</b>" }))
    T.equal(state(alice, room_id, "m.room.topic")["m.topic"]["m.text"][1].mimetype, "text/html")
    check(alice:set_room_avatar(room_id, "mxc://localhost/leaf", { info = { w = 8, h = 8 } }))
    check(alice:set_history_visibility(room_id, "world_readable"))
    check(alice:set_guest_access(room_id, "can_join"))
    local room = people.room_until(bob, room_id, function(room)
      return room.avatar_url and room.name == "Tea"
    end)
    T.equal(room.topic, "green")
    T.equal(room.avatar_url, "mxc://localhost/leaf")
    local details = check(bob:room_details(room_id))
    T.equal(details.history_visibility, "world_readable")
    T.equal(details.guest_access, "can_join")
    check(alice:set_room_avatar(room_id, ""))
    check(alice:set_room_topic(room_id, ""))
    check(alice:set_room_name(room_id, ""))
    room = people.room_until(bob, room_id, function(room)
      return room.name ~= "Tea"
    end)
    T.equal(room.topic, nil)
    T.equal(room.avatar_url, nil)
    refused(bob:set_room_name(room_id, "Coffee"), "M_FORBIDDEN")
    refused(alice:set_room_avatar(room_id, "leaf.png"), "E_INVALID_ARGUMENT", "^url: ")
    refused(alice:set_room_topic(room_id, "", { html = "x" }), "E_INVALID_ARGUMENT", "^html: ")
  end)
end)

T.test("members of one room may join another", function()
  people.meet(function(alice, bob, _, bob_id)
    local club = check(alice:create_room { invite = { bob_id } }).room_id
    local room_id = check(alice:create_room { name = "Annexe" }).room_id
    check(alice:sync_once())
    refused(alice:set_join_rule(room_id, "restricted"), "E_INVALID_ARGUMENT", "^allow: ")
    check(alice:set_join_rule(room_id, "restricted", { allow = { club } }))
    refused(bob:join_room(room_id), "M_FORBIDDEN")
    check(bob:join_room(club))
    check(bob:join_room(room_id))
    check(alice:set_join_rule(room_id, "knock_restricted", { allow = { club } }))
    people.room_until(alice, room_id, function()
      return check(alice:room_details(room_id)).join_rule == "knock_restricted"
    end)
    T.same(check(alice:room_details(room_id)).allowed_room_ids, { club })
    T.same(check(alice:room_details(club)).allowed_room_ids, {})
    T.equal(state(alice, room_id, "m.room.join_rules").allow[1].room_id, club)
    local old = check(alice:create_room { room_version = "6" }).room_id
    people.membership(alice, old, "join")
    refused(alice:set_join_rule(old, "knock"), "E_INVALID_ARGUMENT", "room version 7")
  end)
end)

T.test("power levels, of all and of one", function()
  people.meet(function(alice, bob, alice_id, bob_id)
    local room_id = check(alice:create_room { room_version = "11", invite = { bob_id } }).room_id
    check(bob:join_room(room_id))
    refused(bob:set_room_topic(room_id, "mine"), "M_FORBIDDEN")
    T.matches(check(alice:set_power_level(room_id, bob_id, 50)).event_id, "^%$")
    T.equal(check(alice:set_power_level(room_id, bob_id, 50)).event_id, nil)
    check(bob:set_room_topic(room_id, "mine"))
    check(alice:set_power_levels(room_id, { kick = 70, notify_room = 60, events = { ["m.room.topic"] = 80 } }))
    refused(bob:set_room_topic(room_id, "again"), "M_FORBIDDEN")
    local levels = check(bob:power_levels(room_id))
    T.equal(levels.kick, 70)
    T.equal(levels.ban, 50)
    T.equal(levels.notify_room, 60)
    T.equal(levels.own_level, 50)
    check(alice:set_power_level(room_id, bob_id, 0))
    T.same(state(alice, room_id, "m.room.power_levels").users, { [alice_id] = 100 })
    refused(alice:set_power_levels(room_id), "E_INVALID_ARGUMENT", "nothing to change")
    refused(alice:set_power_levels(room_id, { users = { 1 } }), "E_INVALID_ARGUMENT", "^users: ")
    refused(alice:set_power_levels(room_id, { events = { a = "b" } }), "E_INVALID_ARGUMENT", "^events: ")
    refused(alice:set_power_levels(room_id, { ban = 9007199254740992 }), "E_INVALID_ARGUMENT", "^ban: ")
  end)
end)

T.test("events are pinned in their order", function()
  people.meet(function(alice)
    local room_id = check(alice:create_room()).room_id
    local first = check(alice:send_text(room_id, "one")).event_id
    local second = check(alice:send_text(room_id, "two")).event_id
    T.same(check(alice:pinned_events(room_id)).event_ids, {})
    T.same(check(alice:pin_event(room_id, first)).event_ids, { first })
    T.same(check(alice:pin_event(room_id, second)).event_ids, { first, second })
    T.same(check(alice:pin_event(room_id, first)).event_ids, { first, second })
    T.same(check(alice:unpin_event(room_id, first)).event_ids, { second })
    T.same(check(alice:unpin_event(room_id, first)).event_ids, { second })
    T.same(check(alice:pinned_events(room_id, { reload = true })).event_ids, { second })
    refused(alice:pin_event(room_id, "one"), "E_INVALID_ARGUMENT", "^event_id: ")
  end)
end)

T.test("any state event", function()
  people.meet(function(alice, bob, _, bob_id)
    local room_id = check(alice:create_room { invite = { bob_id } }).room_id
    local content = { list = { 1, 2 }, nested = { text = "ä" } }
    local sent = check(alice:send_state_event(room_id, "org.example.state", content, { state_key = "a/b" }))
    T.matches(sent.event_id, "^%$")
    T.same(state(alice, room_id, "org.example.state", "a/b"), content)
    check(alice:send_state_event(room_id, "org.example.state", {}))
    T.same(state(alice, room_id, "org.example.state"), {})
    check(bob:join_room(room_id))
    refused(bob:send_state_event(room_id, "org.example.state", {}), "M_FORBIDDEN")
    refused(alice:send_state_event(room_id, "org.example.state", 7), "E_INVALID_ARGUMENT", "^content: ")
    refused(alice:send_state_event(room_id, "", {}), "E_INVALID_ARGUMENT", "^type: ")
    refused(alice:send_state_event(room_id, "org.x", { text = ("x"):rep(66000) }), "E_TOO_LARGE")
  end)
end)

T.test("encryption is turned on, and from then on nothing goes in clear", function()
  people.meet(function(alice)
    local room_id = check(alice:create_room()).room_id
    check(alice:sync_once())
    refused(alice:enable_encryption(room_id, { rotation_period_msgs = 0 }), "E_INVALID_ARGUMENT", "^rotation_period_msgs: ")
    check(alice:enable_encryption(room_id, { rotation_period_msgs = 50 }))
    local content = state(alice, room_id, "m.room.encryption")
    T.equal(content.algorithm, "m.megolm.v1.aes-sha2")
    T.equal(content.rotation_period_msgs, 50)
    T.equal(people.room_until(alice, room_id, function() return true end).is_encrypted, true)
  end)
end)

T.test("a room is replaced, and the new one is found and joined", function()
  people.meet(function(alice, bob, alice_id, bob_id)
    local old = check(alice:create_room { room_version = "10", preset = "public_chat", name = "Old" }).room_id
    check(bob:join_room(old))
    refused(bob:join_successor(old), "M_NOT_FOUND")
    local none = check(bob:room_successor(old))
    T.equal(none.successor_room_id, nil)
    T.same(none.via, {})
    local new = check(alice:upgrade_room(old, "11")).successor_room_id
    local newest = check(alice:upgrade_room(new, "12", { additional_creators = { bob_id } })).successor_room_id
    local found = check(bob:room_successor(old))
    T.equal(found.successor_room_id, new)
    T.equal(type(found.body), "string")
    T.same(found.via, { "localhost" })
    T.equal(people.room_until(bob, old, function(room)
      return room.successor_room_id
    end).successor_room_id, new)
    T.equal(check(bob:join_successor(old, { reason = "moved" })).room_id, newest)
    T.equal(state(bob, newest, "m.room.member", bob_id).reason, "moved")
    T.equal(check(bob:room_predecessor(newest)).predecessor_room_id, new)
    T.equal(check(bob:room_predecessor(old)).predecessor_room_id, nil)
    T.same(check(bob:power_levels(newest)).creators, { alice_id, bob_id })
    refused(alice:upgrade_room(newest, "none"), "M_UNSUPPORTED_ROOM_VERSION")
    refused(alice:upgrade_room(newest, "11", { additional_creators = { bob_id } }), "E_INVALID_ARGUMENT", "^additional_creators: ")
  end)
end)

T.test("a room publishes its aliases", function()
  people.meet(function(alice, bob, _, bob_id)
    local localpart = people.unused "alias"
    local alias = "#" .. localpart .. ":localhost"
    local room_id = check(alice:create_room { room_alias_name = localpart, invite = { bob_id } }).room_id
    T.equal(check(alice:canonical_alias(room_id)).alias, alias)
    T.same(check(alice:canonical_alias(room_id, { reload = true })).alt_aliases, {})
    check(alice:set_canonical_alias(room_id, { alias = "", alt_aliases = { alias } }))
    T.same(state(alice, room_id, "m.room.canonical_alias"), { alt_aliases = { alias } })
    check(alice:set_canonical_alias(room_id, { alias = alias }))
    T.same(state(alice, room_id, "m.room.canonical_alias"), { alias = alias, alt_aliases = { alias } })
    check(alice:set_canonical_alias(room_id, { alt_aliases = {} }))
    T.same(state(alice, room_id, "m.room.canonical_alias"), { alias = alias })
    T.equal(check(bob:join_room(alias)).room_id, room_id)
    T.equal(people.room_until(bob, room_id, function(room)
      return room.canonical_alias
    end).canonical_alias, alias)
    refused(alice:set_canonical_alias(room_id, { alias = "#none-" .. localpart .. ":localhost" }), "M_BAD_ALIAS")
    refused(alice:set_canonical_alias(room_id, { alias = "tea" }), "E_INVALID_ARGUMENT", "^alias: ")
    refused(alice:set_canonical_alias(room_id), "E_INVALID_ARGUMENT", "^alias: ")
    refused(alice:set_canonical_alias(room_id, { alt_aliases = { "tea" } }), "E_INVALID_ARGUMENT", "^alt_aliases%[1%]: ")
  end)
end)
