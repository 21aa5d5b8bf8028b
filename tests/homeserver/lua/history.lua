-- What was said before, from Lua: single events, pages, relations, threads, search.
local T = ...
local matrix = T.matrix
local people = require "people"
local check = matrix.check

local function bodies(events)
  local found = {}
  for index, event in ipairs(events) do
    found[index] = event.body or event.type
  end
  return found
end

local function say(client, room_id, first, last)
  local ids = {}
  for number = first, last do
    ids[number] = check(client:send_text(room_id, "number " .. number)).event_id
  end
  return ids
end

T.test("a fetched event is the one that a sync gives", function()
  people.in_room(function(alice, bob, room_id)
    local hear = people.listener(bob, "any", room_id)
    local sent = check(alice:send_text(room_id, "fetch me", { html = "<b>me</b>", mentions = { people.bob_id } })).event_id
    local synced, fetched = hear(sent), check(bob:fetch_event(room_id, sent)).event
    T.equal(fetched.kind, "history")
    T.equal(fetched.is_historic, true)
    for _, name in ipairs { "event_id", "sender", "type", "body", "msgtype", "origin_server_ts", "is_own", "is_redacted" } do
      T.equal(fetched[name], synced[name], name)
    end
    T.same(fetched.content, synced.content)
    T.equal(bob:fetch_event(room_id, "$nowhere").error.code, "M_NOT_FOUND")
  end)
end)

T.test("pages go both ways and meet", function()
  people.in_room(function(alice, _, room_id)
    local ids = say(alice, room_id, 1, 12)
    local newest = check(alice:history(room_id, { limit = 5 }))
    T.same(bodies(newest.events), { "number 12", "number 11", "number 10", "number 9", "number 8" })
    local older = check(alice:history(room_id, { limit = 5, from_token = newest.next_batch }))
    T.same(bodies(older.events), { "number 7", "number 6", "number 5", "number 4", "number 3" })
    local back = check(alice:history(room_id, { limit = 5, from_token = newest.next_batch, direction = "forward" }))
    T.same(bodies(back.events), { "number 8", "number 9", "number 10", "number 11", "number 12" })
    local within = check(alice:history(room_id, { from_token = newest.prev_batch, to_token = newest.next_batch }))
    T.same(bodies(within.events), bodies(newest.events))
    local first = check(alice:history(room_id, { direction = "forward", limit = 1 }))
    T.equal(first.events[1].type, "m.room.create")
    local filtered = check(alice:history(room_id, { filter = { types = { "m.room.member" }, lazy_load_members = true } }))
    T.equal(#filtered.events > 1, true)
    for _, event in ipairs(filtered.events) do
      T.equal(event.membership ~= nil, true)
    end
    local around = check(alice:event_context(room_id, ids[6], { limit = 4 }))
    T.equal(around.event.body, "number 6")
    T.same(bodies(around.events_before), { "number 4", "number 5" })
    T.same(bodies(around.events_after), { "number 7", "number 8" })
    T.equal(#around.state > 3, true)
    local on = check(alice:history(room_id, { from_token = around.next_batch, direction = "forward", limit = 1 }))
    T.same(bodies(on.events), { "number 9" })
    T.equal(alice:history(room_id, { limit = 0 }).error.code, "E_INVALID_ARGUMENT")
    T.equal(alice:history("!nowhere:localhost").error.code, "M_FORBIDDEN")
    T.equal(alice:history(room_id, { filter = "x" }).error.code, "E_INVALID_ARGUMENT")
  end)
end)

T.test("a moment leads to an event", function()
  people.in_room(function(alice, _, room_id)
    local ids = say(alice, room_id, 1, 3)
    local second = check(alice:fetch_event(room_id, ids[2])).event
    local found = check(alice:timestamp_to_event(room_id, second.origin_server_ts))
    T.equal(found.event_id, ids[2])
    T.equal(found.origin_server_ts, second.origin_server_ts)
    local before = check(alice:timestamp_to_event(room_id, second.origin_server_ts, { direction = "backward" }))
    T.equal(before.event_id, ids[2])
    T.equal(alice:timestamp_to_event(room_id, 1, { direction = "backward" }).error.code, "M_NOT_FOUND")
  end)
end)

T.test("relations and edits", function()
  people.in_room(function(alice, bob, room_id)
    local root = check(alice:send_text(room_id, "first")).event_id
    check(alice:edit_message(room_id, root, "second"))
    local third = check(alice:edit_message(room_id, root, "third")).event_id
    local reaction = check(bob:send_reaction(room_id, root, "+1")).event_id
    -- Bob's edit of it does not count.
    local forged = { msgtype = "m.text", body = "* forged", ["m.new_content"] = { msgtype = "m.text", body = "forged" } }
    forged["m.relates_to"] = { rel_type = "m.replace", event_id = root }
    check(bob:send_event(room_id, "m.room.message", forged))
    local edits = check(bob:edit_history(room_id, third))
    T.equal(edits.event.body, "first")
    T.equal(#edits.edits, 2)
    T.equal(edits.edits[1].new_body, "second")
    T.equal(edits.edits[2].new_body, "third")
    local answers = {}
    for number = 1, 5 do
      answers[number] = check(bob:send_text(room_id, "answer " .. number, { thread_id = root })).event_id
    end
    local found = check(alice:relations(room_id, root, { rel_type = "m.thread", limit = 3 }))
    T.same(bodies(found.events), { "answer 5", "answer 4", "answer 3" })
    local rest = check(alice:relations(room_id, root, { rel_type = "m.thread", from_token = found.next_batch }))
    T.same(bodies(rest.events), { "answer 2", "answer 1" })
    T.equal(rest.next_batch, nil)
    local forward = check(alice:relations(room_id, root, { rel_type = "m.thread", direction = "forward", limit = 2 }))
    T.same(bodies(forward.events), { "answer 1", "answer 2" })
    local reactions = check(alice:relations(room_id, root, { rel_type = "m.annotation", event_type = "m.reaction" }))
    T.equal(reactions.events[1].event_id, reaction)
    T.equal(#check(alice:relations(room_id, root)).events, 9)
    T.equal(alice:relations(room_id, root, { event_type = "m.reaction" }).error.code, "E_INVALID_ARGUMENT")
  end)
end)

T.test("threads", function()
  people.meet(function(alice, bob, _, bob_id)
    local room_id = check(alice:create_room { invite = { bob_id } }).room_id
    check(bob:join_room(room_id))
    local root = check(alice:send_text(room_id, "root of a thread")).event_id
    for number = 1, 5 do
      check(bob:send_text(room_id, "answer " .. number, { thread_id = root }))
    end
    local threads = check(alice:threads(room_id))
    T.equal(#threads.threads, 1)
    local thread = threads.threads[1]
    T.equal(thread.event.event_id, root)
    T.equal(thread.latest_event.body, "answer 5")
    T.equal(thread.count, 5)
    T.equal(thread.has_participated, true)
    local second = check(bob:send_text(room_id, "of bob alone")).event_id
    check(bob:send_text(room_id, "x", { thread_id = second }))
    T.equal(check(alice:threads(room_id, { limit = 1 })).threads[1].event.event_id, second)
    local page = check(alice:threads(room_id, { limit = 1 }))
    T.equal(check(alice:threads(room_id, { from_token = page.next_batch })).threads[1].event.event_id, root)
    T.equal(#check(alice:threads(room_id, { participated = true })).threads, 1)
  end)
end)

T.test("search", function()
  people.in_room(function(alice, bob, room_id)
    say(alice, room_id, 1, 3)
    check(alice:send_text(room_id, "the rarest bergamot"))
    check(bob:send_text(room_id, "bergamot again"))
    local found = check(bob:search_messages("bergamot", { room_ids = { room_id }, before_limit = 2, after_limit = 1 }))
    T.equal(found.count, 2)
    T.same(found.highlights, { "bergamot" })
    T.equal(found.results[1].event.body, "bergamot again")
    T.equal(found.results[1].event.is_own, true)
    T.equal(found.results[2].event.room_id, room_id)
    T.same(bodies(found.results[2].events_before), { "number 2", "number 3" })
    T.same(bodies(found.results[2].events_after), { "bergamot again" })
    local older = check(bob:history(room_id, { from_token = found.results[2].prev_batch, limit = 1 }))
    T.same(bodies(older.events), { "number 1" })
    local one = check(bob:search_messages("bergamot", { limit = 1, order_by = "rank", keys = { "content.body" } }))
    T.equal(#one.results, 1)
    local mine = check(bob:search_messages("bergamot", { senders = { people.alice_id } }))
    T.equal(#mine.results, 1)
    local page = check(bob:search_messages("bergamot", { limit = 1 }))
    T.equal(page.results[1].event.body, "bergamot again")
    local next_page = check(bob:search_messages("bergamot", { limit = 1, from_token = page.next_batch }))
    T.equal(next_page.results[1].event.body, "the rarest bergamot")
    T.same(check(bob:search_messages("nobody said this")).results, {})
    local others = check(bob:search_messages("bergamot", { filter = { not_senders = { people.bob_id } } }))
    T.equal(#others.results, 1)
    T.equal(others.results[1].event.sender, people.alice_id)
    T.equal(bob:search_messages("x", { filter = "x" }).error.code, "E_INVALID_ARGUMENT")
    T.equal(bob:search_messages("x", { keys = { "content.secret" } }).error.code, "E_INVALID_ARGUMENT")
  end)
end)
