-- Polls, from Lua: alice asks, both vote.
local T = ...
local matrix = T.matrix
local people = require "people"
local check = matrix.check

local function counts(results)
  local found = {}
  for index, answer in ipairs(results.answers) do
    found[index] = answer.count
  end
  return found
end

T.test("asked, answered, counted, ended", function()
  people.in_room(function(alice, bob, room_id)
    local poll = check(alice:start_poll(room_id, "Tea?", { "green", "black", "white" }, { max_selections = 2 })).event_id
    local none = check(bob:poll_results(room_id, poll))
    T.equal(none.question, "Tea?")
    T.equal(none.answers[2].text, "black")
    T.same(counts(none), { 0, 0, 0 })
    T.equal(none.kind, "disclosed")
    T.equal(none.is_ended, false)
    T.equal(none.sender, people.alice_id)
    check(bob:answer_poll(room_id, poll, { "1" }))
    check(alice:answer_poll(room_id, poll, { "2", "3" }))
    check(bob:answer_poll(room_id, poll, { "2" }))
    local results = check(bob:poll_results(room_id, poll))
    T.same(counts(results), { 0, 2, 1 })
    T.equal(results.voter_count, 2)
    T.same(results.own_answer_ids, { "2" })
    T.same(results.answers[3].user_ids, { people.alice_id })
    T.equal(bob:answer_poll(room_id, poll, { "4" }).error.code, "E_INVALID_ARGUMENT")
    T.equal(bob:answer_poll(room_id, poll, { "1", "2", "3" }).error.code, "E_INVALID_ARGUMENT")
    check(alice:answer_poll(room_id, poll, {}))
    T.same(counts(check(bob:poll_results(room_id, poll))), { 0, 1, 0 })
    T.equal(bob:end_poll(room_id, poll).error.code, "E_INVALID_ARGUMENT")
    local ended = check(alice:end_poll(room_id, poll)).event_id
    local content = check(bob:fetch_event(room_id, ended)).event.content
    T.equal(content.body, "The poll has ended. Top answer: black")
    check(bob:answer_poll(room_id, poll, { "1" }))
    local final = check(alice:poll_results(room_id, poll))
    T.same(counts(final), { 0, 1, 0 })
    T.equal(final.is_ended, true)
    T.equal(final.ended_ts > 1600000000000, true)
    T.equal(final.undecrypted_count, 0)
  end)
end)

T.test("who may redact may end, and nobody else", function()
  people.in_room(function(alice, bob, room_id)
    local poll = check(bob:start_poll(room_id, "Now?", { "yes" }, { kind = "undisclosed" })).event_id
    local other = check(alice:start_poll(room_id, "Then?", { "yes" })).event_id
    local function forge(client, target)
      local relation = { rel_type = "m.reference", event_id = target }
      local content = { ["org.matrix.msc3381.poll.end"] = {}, ["m.relates_to"] = relation }
      check(client:send_event(room_id, "org.matrix.msc3381.poll.end", content))
    end
    forge(bob, other)
    T.equal(check(bob:poll_results(room_id, other)).is_ended, false)
    T.equal(check(bob:poll_results(room_id, poll)).kind, "undisclosed")
    check(alice:end_poll(room_id, poll, { body = "over" }))
    T.equal(check(bob:poll_results(room_id, poll)).is_ended, true)
  end)
end)

T.test("what is no poll, and what cannot be asked", function()
  people.in_room(function(alice, _, room_id)
    local text = check(alice:send_text(room_id, "no poll")).event_id
    T.equal(alice:poll_results(room_id, text).error.code, "E_INVALID_ARGUMENT")
    T.equal(alice:start_poll(room_id, "Tea?", {}).error.code, "E_INVALID_ARGUMENT")
    T.equal(alice:start_poll(room_id, " ", { "x" }).error.code, "E_INVALID_ARGUMENT")
    T.equal(alice:poll_results(room_id, "$nowhere").error.code, "M_NOT_FOUND")
  end)
end)
