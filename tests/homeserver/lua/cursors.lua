-- Cursors: a room's history event by event.
local T = ...
local matrix = T.matrix
local people = require "people"
local check = matrix.check
local COUNT = 60
local ids = {}

local function numbers(cursor)
  local found = {}
  while cursor:next() do
    found[#found + 1] = tonumber((cursor.event.body or ""):match "%d+")
  end
  T.equal(cursor.error, nil)
  return found
end

local function expect(found, first, last)
  local wanted = {}
  for number = first, last, first > last and -1 or 1 do
    wanted[#wanted + 1] = number
  end
  T.same(found, wanted)
end

T.test("backward, every message once", function()
  people.in_room(function(alice, _, room_id)
    for number = 1, COUNT do
      ids[number] = check(alice:send_text(room_id, "number " .. number)).event_id
    end
    expect(numbers(alice:cursor(room_id, { page_size = 7 })), COUNT, 1)
    expect(numbers(alice:cursor(room_id)), COUNT, 1)
    local only = { types = { "m.room.message" } }
    expect(numbers(alice:cursor(room_id, { page_size = 1000, filter = only })), COUNT, 1)
  end)
end)

T.test("forward, from the beginning, from an event, from a moment", function()
  people.in_room(function(alice, _, room_id)
    expect(numbers(alice:cursor(room_id, { page_size = 11, direction = "forward" })), 1, COUNT)
    expect(numbers(alice:cursor(room_id, { page_size = 9, direction = "forward", event_id = ids[20] })), 20, COUNT)
    expect(numbers(alice:cursor(room_id, { page_size = 9, event_id = ids[20] })), 20, 1)
    local ts = check(alice:fetch_event(room_id, ids[30])).event.origin_server_ts
    local from = numbers(alice:cursor(room_id, { direction = "forward", timestamp = ts }))
    T.equal(from[#from], COUNT)
    T.equal(from[1] <= 30 and from[1] >= 28, true)
    T.same(numbers(alice:cursor(room_id, { timestamp = 1 })), {})
    local token = check(alice:history(room_id, { limit = 10 })).next_batch
    expect(numbers(alice:cursor(room_id, { from_token = token })), COUNT - 10, 1)
  end)
end)

T.test("a for loop, where this Lua can wait in one", function()
  people.in_room(function(alice, _, room_id)
    local cursor = alice:cursor(room_id, { page_size = 8 })
    if _VERSION == "Lua 5.1" and not jit then
      T.raises("cannot wait in a for loop; use while cursor:next", cursor.events, cursor)
      return
    end
    local found = {}
    for event in cursor:events() do
      found[#found + 1] = tonumber((event.body or ""):match "%d+")
    end
    expect(found, COUNT, 1)
    T.equal(tostring(cursor), "matrix.cursor (" .. room_id .. ", at end)")
    T.equal(cursor.error, nil)
  end)
end)

T.test("with callbacks, outside any task", function()
  people.in_room(function(alice, _, room_id)
    local cursor, found, ended = alice:cursor(room_id, { page_size = 13 }), {}, false
    local function on_event(event, problem)
      T.equal(problem, nil)
      if not event then
        ended = true
        return
      end
      found[#found + 1] = tonumber((event.body or ""):match "%d+")
      cursor:next(on_event)
    end
    cursor:next(on_event)
    T.raises("being read already", cursor.next, cursor)
    while not ended do
      check(alice:ping { delay_ms = 5 })
    end
    expect(found, COUNT, 1)
  end)
end)

T.test("mistakes and errors", function()
  people.in_room(function(alice, _, room_id)
    T.raises("cursor: room_id: expected string, got nil", alice.cursor, alice)
    T.raises("cursor: unknown option 'size'", alice.cursor, alice, room_id, { size = 3 })
    local cursor = alice:cursor "!nowhere:localhost"
    local event, problem = cursor:next()
    T.equal(event, nil)
    T.equal(problem.code, "M_FORBIDDEN")
    T.equal(cursor.error.code, "M_FORBIDDEN")
    -- It tries again when it is asked again.
    T.equal(select(2, cursor:next()).code, "M_FORBIDDEN")
    local both = alice:cursor(room_id, { event_id = ids[1], timestamp = 1 })
    T.equal(select(2, both:next()).code, "E_INVALID_ARGUMENT")
    local closed = alice:cursor(room_id)
    T.equal(closed:next() ~= nil, true)
    closed:close()
    T.equal(closed:next(), nil)
    T.equal(tostring(closed), "matrix.cursor (" .. room_id .. ", closed)")
  end)
end)

T.test("what is dropped in the middle is let go", function()
  people.in_room(function(alice, _, room_id)
    for _ = 1, 300 do
      check { ok = alice:cursor(room_id, { page_size = 1 }):next() ~= nil }
      collectgarbage()
    end
    T.equal(alice:cursor(room_id):next() ~= nil, true)
  end)
end)

T.test("closed while a page is on its way, it ends, and gives what it held back", function()
  people.in_room(function(alice, _, room_id)
    for number = 1, 4 do
      check(alice:send_text(room_id, "number " .. number))
    end
    local asked, answered = 0, 0
    local function close_under_way(cursor)
      asked = asked + 1
      cursor:next(function(event, problem)
        answered = answered + 1
        T.equal(event, nil)
        T.equal(problem, nil)
      end)
      cursor:close()
      local at_once = false
      cursor:next(function(event)
        at_once = event == nil
      end)
      T.equal(at_once, true)
      T.equal(cursor:next(), nil)
    end
    local opening, reading = alice:cursor(room_id), alice:cursor(room_id, { page_size = 1 })
    T.equal(reading:next() ~= nil, true)
    close_under_way(opening)
    close_under_way(reading)
    local waiting, ended = alice:cursor(room_id), false
    matrix.spawn(function()
      T.equal(waiting:next(), nil)
      T.equal(waiting.error, nil)
      ended = true
    end)
    waiting:close()
    -- More than may be open at once.
    for _ = 1, 300 do
      close_under_way(alice:cursor(room_id))
      check(alice:ping())
    end
    while answered < asked or not ended do
      check(alice:ping { delay_ms = 5 })
    end
    for _, cursor in ipairs { opening, reading, waiting } do
      T.equal(cursor.number, nil)
      T.equal(cursor.event, nil)
      T.equal(cursor:next(), nil)
    end
    T.equal(alice:cursor(room_id):next() ~= nil, true)
    T.equal(answered, asked)
  end)
end)
