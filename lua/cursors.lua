-- SPDX-License-Identifier: Apache-2.0
-- Cursors: a room's history event by event, for loops.

local core, include = ...
local calls = include "calls"
local check = include "check"
local errors = include "errors"
local list = include "operations"
local tasks = include "tasks"

local cursors = {}

local Cursor = { __name = "matrix.cursor" }
Cursor.__index = Cursor

-- Cursors of the runtime that nobody holds any more, by client; closed when the next one is used.
local left = setmetatable({}, { __mode = "k" })

local function ignore() end

-- Calls `f` when the result is collected; Lua 5.1 knows that of userdata only.
local function on_collect(f)
  if newproxy then
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = f
    return proxy
  end
  return setmetatable({}, { __gc = f })
end

local function sweep(client)
  local numbers = left[client]
  left[client] = nil
  for _, number in ipairs(numbers or {}) do
    calls.submit(client, list.operations.close_cursor, { cursor = number }, ignore)
  end
end

function Cursor.__tostring(cursor)
  local state = cursor.closed and "closed" or cursor.error and "failed" or cursor.is_at_end and "at end" or "open"
  return "matrix.cursor (" .. cursor.room_id .. ", " .. state .. ")"
end

-- client:cursor(room_id, options): nothing is asked before the first event is.
function cursors.new(client, room_id, options)
  if getmetatable(client) ~= core.client then
    error("cursor: call it with a colon, client:cursor(…)", 2)
  end
  if options ~= nil and type(options) ~= "table" then
    error("cursor: options: expected table, got " .. check.type_name(options), 2)
  end
  local opening = list.operations.open_cursor
  local _, problem = check.field(opening.arguments[1], room_id)
  local map = { room_id = room_id }
  problem = problem or check.options(opening.options, options or {}, map)
  if problem then
    error("cursor: " .. problem, 2)
  end
  sweep(client)
  return setmetatable({ client = client, room_id = room_id, opening = map, page = {}, index = 0 }, Cursor)
end

-- Lets the runtime's cursor go when this one is collected. What it holds is not the cursor, so that it can be.
local function guard(cursor)
  local client, number = setmetatable({ cursor.client }, { __mode = "v" }), cursor.number
  cursor.guard = on_collect(function()
    if client[1] then
      left[client[1]] = left[client[1]] or {}
      table.insert(left[client[1]], number)
    end
  end)
end

-- Takes the answer to a read.
local function take(cursor, payload)
  cursor.is_reading = false
  if cursor.closed then
    return
  elseif not payload.ok then
    cursor.error = payload.error
    return
  end
  cursor.page, cursor.index, cursor.is_at_end = payload.events, 0, payload.is_at_end
  cursor.next_batch = payload.next_batch
  if cursor.is_at_end then
    cursor:release()
  end
end

-- Takes the answer to an opening; whether there is something to read from.
local function take_number(cursor, payload)
  if payload.ok then
    cursor.number = payload.cursor
    if not cursor.closed then
      guard(cursor)
      return true
    end
    cursor:release()
  end
  cursor.is_reading, cursor.error = false, not cursor.closed and payload.error or nil
  return false
end

-- Submits what answers with a page sooner or later. The request, or nil, code and message when it was refused: that is in
-- cursor.error too, and the cursor can be read again.
local function submit(cursor, operation, map, callback)
  local request, code, message = calls.submit(cursor.client, list.operations[operation], map, callback)
  cursor.is_reading = request ~= nil
  cursor.error = not request and errors.new { code = code, message = message } or nil
  return request, code, message
end

-- Reads the next page; then done(), also when it fails. Returns as submit() does; what was refused calls nobody.
local function read(cursor, done)
  local function go_on()
    return submit(cursor, "read_cursor", { cursor = cursor.number }, function(payload)
      take(cursor, payload)
      done()
    end)
  end
  if cursor.number then
    return go_on()
  end
  return submit(cursor, "open_cursor", cursor.opening, function(payload)
    if not take_number(cursor, payload) or not go_on() then
      done()
    end
  end)
end

local function step(cursor)
  local event = cursor.page[cursor.index + 1]
  if event then
    cursor.page[cursor.index] = nil
    cursor.index = cursor.index + 1
  end
  cursor.event = event
  return event
end

local function is_done(cursor)
  return cursor.closed or cursor.is_at_end
end

-- The next event, also as cursor.event; nil at the end, or with an error, which is in cursor.error: then next() tries
-- again. With a callback: callback(event, error), at once when the event is there already.
function Cursor.next(cursor, callback)
  if getmetatable(cursor) ~= Cursor then
    error("next: call it with a colon, cursor:next()", 2)
  end
  if callback ~= nil and type(callback) ~= "function" then
    error("next: callback: expected function, got " .. check.type_name(callback), 2)
  end
  if cursor.is_reading and not cursor.closed then
    error("next: a page is being read already", 2)
  end
  cursor.error = nil
  local event = step(cursor)
  if event or is_done(cursor) then
    if callback then
      return callback(event)
    end
    return event
  end
  local task = not callback and tasks.needed("next", 2)
  local function answered()
    -- Pages may be empty.
    if not cursor.page[cursor.index + 1] and not cursor.error and not is_done(cursor) and read(cursor, answered) then
      return
    end
    if callback then
      return callback(step(cursor), cursor.error)
    end
    tasks.resume(task.coroutine, answered)
  end
  local request, code, message = read(cursor, answered)
  if not request then
    errors.refuse("next", code, message, 2)
  end
  if task then
    tasks.wait(task, answered)
    return step(cursor), cursor.error
  end
end

-- Whether this Lua can wait inside the iterator of a `for`: 5.1 cannot.
local can_iterate = coroutine.resume(coroutine.create(function()
  for _ in coroutine.yield do
    break
  end
end))

-- for event in cursor:events() do … end; afterwards cursor.error tells whether it ended early.
function Cursor.events(cursor)
  if getmetatable(cursor) ~= Cursor then
    error("events: call it with a colon, cursor:events()", 2)
  end
  if not can_iterate then
    error("events: " .. _VERSION .. " cannot wait in a for loop; use while cursor:next() do", 2)
  end
  return function()
    return (cursor:next())
  end
end

-- Lets go of what the runtime holds; the events of the last page stay.
function Cursor.release(cursor)
  if cursor.number then
    calls.submit(cursor.client, list.operations.close_cursor, { cursor = cursor.number }, ignore)
    -- Only what was left is for the guard.
    cursor.number = nil
    cursor.guard = nil
  end
end

-- Ends it; nothing comes any more, and a next() that waits gets nil, as at the end. Not needed at the end of the history.
function Cursor.close(cursor)
  cursor:release()
  cursor.closed, cursor.page, cursor.index, cursor.event = true, {}, 0, nil
end

Cursor.__close = Cursor.close

-- Gives clients their method.
function cursors.install(methods)
  methods.cursor = cursors.new
end

return cursors
