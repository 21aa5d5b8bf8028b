-- The queue of sends, from Lua: queued without a network, sent by the next client of the same store.
local T = ...
local matrix = T.matrix
local people = require "people"
local check = matrix.check

local STORE = people.env "STORE" .. "/" .. tostring({}):match "[%xx]+$"
-- Nobody listens there.
local NOWHERE = "http://127.0.0.1:9"

local function open(homeserver, store)
  local options = people.session("", { store_path = store })
  options.homeserver = homeserver
  return matrix.create_client(options)
end

-- The states each send was in, by its txn_id, as one text.
local function states_of(client)
  local states = {}
  client:subscribe("send", function(update)
    states[update.txn_id] = (states[update.txn_id] or "") .. update.state .. " "
    states[update.state] = (states[update.state] or 0) + 1
  end)
  return states
end

local function queue_offline()
  local outcomes = {}
  local client, room_id = open(NOWHERE, STORE), people.room_id
  local states = states_of(client)
  for number = 1, 3 do
    client:send_text(room_id, "number " .. number, { txn_id = "t" .. number }, function(payload)
      outcomes[number] = payload
    end)
  end
  -- Nothing said so far whether the room is encrypted: that is asked before the first attempt.
  people.wait_until(client, function()
    return states.queued and states.queued > 3
  end)
  local sends = check(client:sends { room_id = room_id }).sends
  T.equal(#sends, 3)
  T.equal(sends[2].content.body, "number 2")
  T.equal(sends[2].txn_id, "t2")
  T.equal(sends[1].failure.code, "E_CONNECTION")
  T.equal(check(client:cancel_send(sends[2].send_id)).is_cancelled, true)
  people.wait_until(client, function()
    return outcomes[2]
  end)
  T.equal(outcomes[2].error.code, "E_CANCELLED")
  T.equal(client:cancel_send(sends[2].send_id).error.code, "E_INVALID_ARGUMENT")
  check(client:retry_sends())
  client:close()
end

local function send_online(bob, room_id)
  local heard = {}
  bob:subscribe("message", { room_id = room_id }, function(event)
    heard[#heard + 1] = event.body
  end)
  local client = open(people.env "HOMESERVER", STORE)
  local states = states_of(client)
  people.sync_until(bob, function()
    return #heard == 2
  end)
  T.same(heard, { "number 1", "number 3" })
  people.wait_until(client, function()
    return states.sent == 2
  end)
  T.equal(#check(client:sends()).sends, 0)
  client:close()
end

T.test("what is queued without a network is sent by the next client", function()
  matrix.run(queue_offline)
  people.in_room(function(_, bob, room_id)
    send_online(bob, room_id)
  end)
end)

T.test("an echo is there at once, and the event that follows has its txn_id", function()
  people.in_room(function(alice, _, room_id)
    local states, events = states_of(alice), {}
    check(alice:sync_once())
    alice:subscribe("message", { room_id = room_id, local_echo = true }, function(event)
      events[#events + 1] = event
    end)
    local sent = check(alice:send_text(room_id, "echo", { txn_id = "mine" }))
    T.equal(#events, 1)
    T.equal(events[1].is_local, true)
    T.equal(events[1].body, "echo")
    T.equal(events[1].is_own, true)
    T.equal(states.mine, "queued sending sent ")
    people.sync_until(alice, function()
      return #events == 2
    end)
    T.equal(events[2].event_id, sent.event_id)
    T.equal(events[2].is_local, nil)
    T.equal(events[2].txn_id, "mine")
    T.equal(events[1].txn_id, "mine")
  end)
end)

T.test("what is refused for good is told, and the next one goes", function()
  people.in_room(function(alice, _, room_id)
    local states = states_of(alice)
    T.equal(alice:send_text("!nowhere:localhost", "x", { txn_id = "a" }).error.code, "M_FORBIDDEN")
    T.equal(states.a, "queued failed ")
    local large = alice:send_text(room_id, ("x"):rep(65000))
    T.equal(large.error.code, "M_TOO_LARGE")
    T.equal(alice:send_text(room_id, ("x"):rep(65536)).error.code, "E_TOO_LARGE")
    check(alice:send_text(room_id, ("x"):rep(63000)))
  end)
end)

-- Eight sends; what became of each is put into `order`, as it came and by its name.
local function submit_all(bob, room_id, order)
  local function told(name)
    return function(payload)
      order[#order + 1] = name
      order[name] = payload.ok and "ok" or payload.error.code
    end
  end
  -- None of them waits for another's answer.
  bob:send_text(room_id, "first", told "first")
  bob:send_event(room_id, "org.example.decree", {}, told "forbidden")
  bob:send_text(room_id, ("x"):rep(65000), { txn_id = "large" }, told "large")
  bob:send_state_event(room_id, "m.room.name", { name = "mine" }, told "name")
  bob:redact(room_id, "$nowhere", told "redaction")
  bob:send_text("!nowhere:localhost", "x", told "nowhere")
  bob:send_reaction(room_id, "$nowhere", "+1", told "reaction")
  bob:send_text(room_id, "last", told "last")
end

T.test("refusals block nothing of what was submitted with them", function()
  people.in_room(function(alice, bob, room_id)
    check(alice:set_power_levels(room_id, { events = { ["org.example.decree"] = 100 } }))
    local states, heard, order = states_of(bob), {}, {}
    alice:subscribe("any", { room_id = room_id, not_own = true }, function(event)
      heard[#heard + 1] = event.body or event.type
    end)
    check(alice:sync_once())
    heard = {}
    submit_all(bob, room_id, order)
    people.wait_until(bob, function()
      return #order == 8
    end)
    T.equal(order.first, "ok")
    T.equal(order.forbidden, "M_FORBIDDEN")
    T.equal(order.large, "M_TOO_LARGE")
    T.equal(states.large, "queued sending failed ")
    T.equal(order.name, "M_FORBIDDEN")
    T.equal(order.redaction, "M_NOT_FOUND")
    T.equal(order.nowhere, "M_FORBIDDEN")
    T.equal(order.last, "ok")
    -- Those of the room in the order they were submitted.
    local expected, index = { "first", "forbidden", "large", "name", "redaction", "reaction", "last" }, 1
    for _, name in ipairs(order) do
      index = name == expected[index] and index + 1 or index
    end
    T.equal(index, #expected + 1)
    people.sync_until(alice, function()
      return heard[#heard] == "last"
    end)
    T.equal(heard[1], "first")
  end)
end)
