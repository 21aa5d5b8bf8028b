-- SPDX-License-Identifier: Apache-2.0
-- Takes what is due from the core and gives it to the callbacks. This is the only place where they run.

local core, include = ...
local calls = include "calls"
local check = include "check"
local errors = include "errors"
local events = include "events"
local tasks = include "tasks"

local dispatch = {}

-- As in matrix.h, matrix_reply_kind.
local RESULT, PROGRESS, EVENT, CALL, LOG = 1, 2, 3, 4, 5

-- A longer wait is made of such slices (ms), so that Ctrl-C and debug hooks of the interpreter are served.
local SLICE = 200

-- So many log records may be due at once: beyond them are those that callbacks made meanwhile.
local MOST_LOGS = 1024

local handlers = {
  [RESULT] = function(token, payload, is_error)
    local callback, result = calls.finish(token, payload, is_error)
    if type(callback) == "thread" then
      tasks.resume(callback, token, result)
    elseif callback then
      callback(result)
    end
  end,
  [PROGRESS] = calls.report,
  [EVENT] = events.deliver,
  [CALL] = function(_, payload, _, handle)
    events.deliver_call(payload, handle)
  end,
  [LOG] = function(_, payload)
    events.deliver_log(payload)
  end,
}

-- The coroutine whose dispatch is going on. An error in a callback unwinds without passing by here, so what this
-- says is true only while core.is_active() finds the function on that coroutine's stack.
local busy = false
local loop

local function take(what, timeout_ms)
  local kind, token, payload, is_error, handle = core.next(timeout_ms)
  if kind == nil and token then
    errors.refuse(what, token, payload, 3)
  end
  return kind, token, payload, is_error, handle
end

-- Waits for the first thing that is due, in slices, unless is_over() holds.
local function take_first(timeout_ms, is_over)
  local deadline = timeout_ms > 0 and core.clock() + timeout_ms * 1000
  while not (is_over and is_over()) do
    local left = deadline and (deadline - core.clock()) / 1000 or SLICE
    if timeout_ms == 0 or left < 0 then
      left = 0
    elseif left > SLICE then
      left = SLICE
    end
    local kind, token, payload, is_error, handle = take("dispatch", math.ceil(left))
    if kind or left == 0 then
      return kind, token, payload, is_error, handle
    end
  end
  return nil
end

-- Ends with the first answer to a call that was made meanwhile, or with more log records than were due: callbacks that
-- call again, or make log records, do not keep the host here.
loop = function(timeout_ms, budget_us, is_over)
  -- Here, not in the callers: a finaliser or a hook that dispatches before or after has an end of its own.
  busy = core.thread()
  local limit = budget_us > 0 and core.clock() + budget_us
  local newest, count, logs, next_reply = calls.newest(), 0, 0, core.next
  tasks.drain(true)
  local kind, token, payload, is_error, handle = take_first(timeout_ms, is_over)
  while kind do
    count = count + 1
    local handler = handlers[kind]
    if handler then
      handler(token, payload, is_error, handle)
    end
    logs = kind == LOG and logs + 1 or logs
    if (limit and core.clock() >= limit) or (kind == RESULT and token > newest) or logs == MOST_LOGS then
      break
    end
    -- Not by `take`: here a step counts.
    kind, token, payload, is_error, handle = next_reply(0)
  end
  if kind == nil and token then
    errors.refuse("dispatch", token, payload, 3)
  end
  busy = false
  return count
end

local function is_busy()
  return busy and core.is_active(busy, loop)
end

local function number(what, name, value, default)
  if value == nil then
    return default
  end
  if type(value) ~= "number" or value ~= value then
    error(what .. ": " .. name .. ": expected number, got " .. check.type_name(value), 3)
  end
  return math.floor(math.max(-1, math.min(value, 2147483647)))
end

-- Waits until the runtime has started, in slices: true, or nil and an error.
function dispatch.wait_ready(timeout_ms)
  timeout_ms = number("wait_ready", "timeout_ms", timeout_ms, -1)
  local deadline = core.clock() + timeout_ms * 1000
  while true do
    local left = timeout_ms < 0 and SLICE or math.ceil((deadline - core.clock()) / 1000)
    local done, code, message = core.wait_ready(math.max(0, math.min(left, SLICE)))
    if done then
      return true
    elseif code ~= "E_TIMEOUT" or (timeout_ms >= 0 and left <= SLICE) then
      return nil, errors.new { code = code, message = message }
    end
  end
end

-- One run of the loop, for a function of the module. Not in a task: its callbacks would be part of the task, and a call
-- in one that waits would stop the loop.
local function turn(...)
  if is_busy() then
    error("dispatch: it is running already; not to be called inside a callback", 3)
  end
  if tasks.current() then
    error("dispatch: not to be called inside a task; calls without a callback wait there", 3)
  end
  return (loop(...))
end

-- matrix.dispatch([timeout_ms [, budget_us]]): runs the callbacks that are due; how many ran.
function dispatch.dispatch(timeout_ms, budget_us)
  timeout_ms = number("dispatch", "timeout_ms", timeout_ms, 0)
  budget_us = number("dispatch", "budget_us", budget_us, 0)
  local count = turn(timeout_ms, budget_us)
  return count
end

-- matrix.run(f, …): runs functions as tasks side by side, dispatching until all have ended; the results of the first.
function dispatch.run(...)
  for index = 1, math.max(select("#", ...), 1) do
    local f = select(index, ...)
    if type(f) ~= "function" then
      error("run: expected function, got " .. check.type_name(f), 2)
    end
  end
  if tasks.current() then
    error("run: it is running already; inside it use matrix.spawn", 2)
  end
  if is_busy() then
    error("run: not to be called inside a callback; use matrix.spawn", 2)
  end
  return tasks.run(function(is_over)
    turn(-1, 0, is_over)
  end, { ... })
end

-- matrix.shutdown([timeout_ms]): ends the context; what is open calls back before this returns.
function dispatch.shutdown(timeout_ms)
  timeout_ms = number("shutdown", "timeout_ms", timeout_ms, -1)
  if is_busy() then
    error("shutdown: not to be called inside a callback", 2)
  end
  if tasks.current() then
    error("shutdown: not to be called inside a task", 2)
  end
  -- What callbacks make from here on belongs to the next context.
  local newest = calls.newest()
  local done, code, message = core.shutdown(timeout_ms)
  if not done then
    errors.refuse("shutdown", code, message, 2)
  end
  -- One run may end with log records; answers that were given before the end may be behind them.
  repeat
  until turn(0, 0) < MOST_LOGS
  events.forget(nil, newest)
  for _, token in ipairs(calls.open(newest)) do
    handlers[RESULT](token, { code = "E_SHUTDOWN", message = "the context was shut down" }, true)
  end
end

return dispatch
