-- Bob follows what Alice does, by syncs and by the loop, and knows it all after a restart. MATRIX_STORE is for Bob.
local T = ...
local matrix, people = T.matrix, require "people"
local env, equal = people.env, T.equal

local alice_id, bob_id = people.alice_id, people.bob_id
local kinds = {
  "message", "state", "membership", "redaction", "reaction", "invite", "room", "receipt", "typing", "presence",
  "account_data", "room_account_data", "sync", "sync_state", "any", "to_device",
}
local heard = {}

-- Waits for an event of a kind that fits, whenever it came.
local function hear(client, kind, fits)
  local found
  people.wait_until(client, function()
    for _, event in ipairs(heard[kind]) do
      found = found or (fits(event) and event)
    end
    return found
  end, kind)
  return found
end

local function listen(client)
  for _, kind in ipairs(kinds) do
    heard[kind] = {}
    client:subscribe(kind, function(event)
      table.insert(heard[kind], event)
    end)
  end
end

local function sync_by_hand(bob)
  local id = matrix.check(bob:upload_filter({ room = { timeline = { limit = 5 } } })).filter_id
  local first = matrix.check(bob:sync_once { filter = id, set_presence = "unavailable" })
  assert(#first.next_batch > 0)
  equal(bob:sync_once({ filter = "987654" }).error.code, "M_INVALID_PARAM")
  local again = matrix.check(bob:sync_once { full_state = true, timeout_ms = 10 })
  equal(matrix.check(bob:account()).next_batch, again.next_batch)
end

local function start_loop(bob)
  matrix.check(bob:sync_loop_start { timeout_ms = 20000, backoff_min_ms = 100 })
  equal(bob:sync_loop_start().error.code, "E_ALREADY_RUNNING")
  equal(bob:sync_once().error.code, "E_ALREADY_RUNNING")
  hear(bob, "sync_state", function(record)
    return record.state == "syncing"
  end)
end

local function in_room(room_id)
  return function(event)
    return event.room_id == room_id
  end
end

local function talk(alice, bob, room_id)
  local invite = hear(bob, "invite", function(event)
    return event.room.room_id == room_id
  end)
  equal(invite.sender, alice_id)
  matrix.check(bob:join_room(room_id))
  hear(bob, "membership", function(event)
    return event.room_id == room_id and event.state_key == bob_id and event.membership == "join"
  end)
  local once = 0
  local own
  own = bob:subscribe("message", { room_id = room_id, sender = alice_id, not_own = true }, function()
    once = once + 1
    own:unsubscribe()
  end)
  local said = matrix.check(alice:send_text(room_id, "hello")).event_id
  local message = hear(bob, "message", function(event)
    return event.event_id == said
  end)
  equal(message.body, "hello")
  equal(message.is_historic, false)
  equal(message.raw.content.body, "hello")
  local reply = matrix.check(alice:send_reply(room_id, said, "again")).event_id
  equal(hear(bob, "message", function(event)
    return event.event_id == reply
  end).reply_to, said)
  equal(once, 1)
  local reaction = matrix.check(alice:send_reaction(room_id, said, "+")).event_id
  equal(hear(bob, "reaction", in_room(room_id)).relates_to, said)
  matrix.check(alice:redact(room_id, reaction))
  equal(hear(bob, "redaction", in_room(room_id)).redacts, reaction)
  matrix.check(alice:send_receipt(room_id, said))
  hear(bob, "receipt", in_room(room_id))
  matrix.check(alice:set_typing(room_id, true))
  equal(hear(bob, "typing", in_room(room_id)).user_ids[1], alice_id)
  return said
end

local function change(alice, bob, room_id)
  matrix.check(alice:set_room_topic(room_id, "leaves"))
  local changed = hear(bob, "room", function(event)
    return event.room.room_id == room_id and event.room.topic == "leaves"
  end)
  assert(#changed.changed > 0)
  matrix.check(alice:send_state_event(room_id, "org.example", { n = 1 }, { state_key = "key" }))
  equal(hear(bob, "state", function(event)
    return event.type == "org.example"
  end).state_key, "key")
  matrix.check(bob:set_account_data("org.example", { n = 2 }))
  matrix.check(bob:set_account_data("org.example", { n = 3 }, { room_id = room_id }))
  equal(hear(bob, "account_data", function(event)
    return event.type == "org.example"
  end).content.n, 2)
  equal(hear(bob, "room_account_data", in_room(room_id)).content.n, 3)
end

local function may(client, room_id, what)
  return matrix.check(client:may(room_id, what)).allowed
end

local function know(client, room_id)
  local found = matrix.check(client:state_event(room_id, "org.example", { state_key = "key" }))
  equal(found.content.n, 1)
  equal(found.event.sender, alice_id)
  local events = matrix.check(client:state_events(room_id, { type = "m.room.topic" })).state
  equal(#events, 1)
  equal(events[1].content.topic, "leaves")
  local levels = matrix.check(client:power_levels(room_id))
  equal(levels.ban, 50)
  equal(levels.own_level, 0)
  equal(matrix.check(client:account_data("org.example")).content.n, 2)
  equal(matrix.check(client:account_data("org.example", { room_id = room_id })).content.n, 3)
  equal(may(client, room_id, { event_type = "m.room.message" }), true)
  equal(may(client, room_id, { event_type = "m.room.topic", is_state = true }), false)
  equal(may(client, room_id, { action = "kick", target = alice_id }), false)
  equal(may(client, room_id, { action = "redact", target = bob_id }), true)
  equal(may(client, room_id, { action = "redact", target = alice_id }), false)
end

local function rule(alice, room_id)
  local levels = matrix.check(alice:power_levels(room_id))
  local function set(users)
    return { event_type = "m.room.power_levels", is_state = true, content = { users = users, ban = levels.ban } }
  end
  equal(may(alice, room_id, set { [alice_id] = 100, [bob_id] = 100 }), true)
  equal(may(alice, room_id, set { [alice_id] = 100, [bob_id] = 101 }), false)
end

local function membership(client, room_id)
  local room = people.room(client, room_id)
  return room and room.membership
end

local function leave(alice, bob, room_id)
  local other = matrix.check(alice:create_room { invite = { bob_id } }).room_id
  people.wait_until(bob, function()
    return membership(bob, other) == "invite"
  end, "invite")
  matrix.check(alice:kick_user(other, bob_id))
  matrix.check(alice:ban_user(room_id, bob_id))
  people.wait_until(bob, function()
    return membership(bob, other) == "leave" and membership(bob, room_id) == "ban"
  end, "end")
  matrix.check(bob:forget_room(other))
  equal(membership(bob, other), nil)
end

local function stop_loop(bob)
  equal(matrix.check(bob:sync_loop_stop()).was_running, true)
  equal(matrix.check(bob:sync_loop_stop()).was_running, false)
  hear(bob, "sync_state", function(record)
    return record.state == "stopped"
  end)
  equal(#heard.sync_state, 2)
  assert(#heard.sync > 0 and #heard.any > 0)
end

T.test("Bob follows Alice", function()
  matrix.run(function()
    local alice = matrix.create_client(people.session("", { encryption = false }))
    local bob = matrix.create_client(people.session("2", { store_path = env "STORE", encryption = false }))
    sync_by_hand(bob)
    listen(bob)
    start_loop(bob)
    local room_id = matrix.check(alice:create_room {
      name = "Tea", invite = { bob_id }, room_version = "11",
    }).room_id
    talk(alice, bob, room_id)
    change(alice, bob, room_id)
    know(bob, room_id)
    rule(alice, room_id)
    stop_loop(bob)
    bob:close()
    -- Nothing but the store is needed to know it again, and to go on.
    bob = matrix.create_client { store_path = env "STORE", encryption = false }
    know(bob, room_id)
    equal(membership(bob, room_id), "join")
    listen(bob)
    start_loop(bob)
    leave(alice, bob, room_id)
    stop_loop(bob)
    bob:close()
    alice:close()
  end)
end)
