-- Polls, edits and history where messages are encrypted. One test: clients without a store can have a device once.
local T = ...
local matrix = T.matrix
local people = require "people"
local check = matrix.check

local function ask(alice, bob, room_id)
  local poll = check(alice:start_poll(room_id, "Tea?", { "green", "black" })).event_id
  T.equal(check(alice:fetch_event(room_id, poll)).event.raw.type, "m.room.encrypted")
  check(bob:sync_once())
  check(bob:answer_poll(room_id, poll, { "2" }))
  check(alice:sync_once())
  local results = check(alice:poll_results(room_id, poll))
  T.equal(results.question, "Tea?")
  T.equal(results.answers[2].count, 1)
  T.equal(results.undecrypted_count, 0)
end

-- Gives the id of what was edited.
local function edit(alice, bob, room_id)
  local sent = check(alice:send_text(room_id, "secret")).event_id
  check(alice:edit_message(room_id, sent, "more secret"))
  check(bob:sync_once())
  local edits = check(bob:edit_history(room_id, sent))
  T.equal(edits.event.body, "secret")
  T.equal(edits.edits[1].new_body, "more secret")
  local cursor, bodies = bob:cursor(room_id), {}
  while cursor:next() do
    if cursor.event.msgtype then
      bodies[#bodies + 1] = cursor.event.body
    end
  end
  T.same(bodies, { "* more secret", "secret" })
  return sent
end

local function thread_under(sent, alice, bob, room_id)
  -- The homeserver sees which thread an event is in, so that it can count; so do clients.
  check(alice:send_text(room_id, "one", { thread_id = sent }))
  local second = check(bob:send_text(room_id, "two", { thread_id = sent })).event_id
  check(alice:sync_once())
  local third = check(alice:send_text(room_id, "three", { thread_id = sent })).event_id
  check(bob:sync_once())
  local relation = check(bob:fetch_event(room_id, third)).event.content["m.relates_to"]
  T.equal(relation["m.in_reply_to"].event_id, second)
  local thread = check(alice:threads(room_id)).threads[1]
  T.equal(thread.event.body, "secret")
  T.equal(thread.latest_event.body, "three")
  T.equal(thread.count, 3)
  local answers = check(bob:relations(room_id, sent, { rel_type = "m.thread", direction = "forward" })).events
  T.equal(answers[2].body, "two")
  local before = check(bob:event_context(room_id, second)).events_before
  T.equal(before[#before].body, "one")
end

T.test("in an encrypted room", function()
  people.in_room(function(alice, bob)
    local made = check(alice:create_room { encrypted = true, preset = "private_chat", invite = { people.bob_id } })
    local room_id = made.room_id
    check(bob:join_room(room_id))
    check(alice:sync_once())
    check(bob:sync_once())
    ask(alice, bob, room_id)
    thread_under(edit(alice, bob, room_id), alice, bob, room_id)
  end)
end)
