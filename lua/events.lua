-- SPDX-License-Identifier: Apache-2.0
-- What comes unasked: events of subscriptions, log records, questions to the host.

local core, include = ...
local calls = include "calls"
local check = include "check"
local errors = include "errors"
local list = include "operations"
local names = include "names"

local events = {}

-- By token: { callback, subscription, client }. Active subscriptions stay, and keep their client open.
local active = {}
local tokens = setmetatable({}, { __mode = "k" }) -- subscription -> token

local on_log, on_call

local function known_kinds()
  local kinds = {}
  for kind in pairs(list.events) do
    kinds[#kinds + 1] = kind
  end
  table.sort(kinds)
  return table.concat(kinds, ", ")
end

-- The kind, the filter as a map, and the callback; or nil and what is wrong.
local function read(kind, filter, callback)
  if type(kind) ~= "string" then
    return nil, "kind: expected string, got " .. check.type_name(kind)
  end
  kind = names.snake(kind)
  if not list.events[kind] then
    return nil, "kind: unknown '" .. kind .. "'; known are " .. known_kinds()
  end
  if type(filter) == "function" and callback == nil then
    filter, callback = nil, filter
  end
  if filter ~= nil and type(filter) ~= "table" then
    return nil, "filter: expected table, got " .. check.type_name(filter)
  end
  if type(callback) ~= "function" then
    return nil, "callback: expected function, got " .. check.type_name(callback)
  end
  local map = {}
  local problem = check.options(list.events[kind].filter, filter or {}, map)
  if problem then
    return nil, problem
  end
  return kind, map, callback
end

-- client:subscribe(kind, [filter,] callback)
function events.subscribe(client, ...)
  if getmetatable(client) ~= core.client then
    error("subscribe: call it with a colon, client:subscribe(…)", 2)
  end
  local kind, map, callback = read(...)
  if not kind then
    error("subscribe: " .. map, 2)
  end
  local token = calls.new_token()
  local entry = { callback = callback, client = client, subscription = false }
  active[token] = entry
  local subscription, code, message = core.subscribe(client, kind, map, token)
  if not subscription then
    active[token] = nil
    errors.refuse("subscribe", code, message, 2)
  end
  entry.subscription = subscription
  tokens[subscription] = token
  return subscription
end

local methods = {}

-- Ends the subscription, also from inside its callback. False when it had ended already.
function methods.unsubscribe(subscription)
  if getmetatable(subscription) ~= core.subscription then
    error("unsubscribe: expected a subscription, got " .. check.type_name(subscription), 2)
  end
  local token = tokens[subscription]
  if token then
    active[token], tokens[subscription] = nil, nil
  end
  return core.unsubscribe(subscription)
end

core.subscription.__index = setmetatable(methods, { __index = names.resolver(methods) })
core.subscription.__close = methods.unsubscribe

-- Lets go of the subscriptions of a client, or of all up to a token: they have ended.
function events.forget(client, newest)
  for token, entry in pairs(active) do
    if client == nil and token <= newest or entry.client == client then
      active[token] = nil
      if entry.subscription then
        tokens[entry.subscription] = nil
      end
    end
  end
end

function events.deliver(token, event, is_error)
  local entry = active[token]
  if is_error then
    events.deliver_log { level = "error", source = "lua", message = event.message, code = event.code, dropped = 0 }
  elseif entry then
    entry.callback(event)
  end
end

local function level_number(level)
  for number, known in ipairs(list.enums.log_level) do
    if level == known then
      return number
    end
  end
  return nil
end

-- matrix.on_log(level, fn): records from that level on go to fn. Without fn they stop.
function events.on_log(level, callback)
  if callback ~= nil and type(callback) ~= "function" then
    error("on_log: callback: expected function, got " .. check.type_name(callback), 2)
  end
  local number = level_number(level == nil and "off" or level)
  if not number then
    error("on_log: level: expected one of " .. table.concat(list.enums.log_level, ", "), 2)
  end
  local done, code, message = core.set_log(number, callback and 0)
  if not done then
    errors.refuse("on_log", code, message, 2)
  end
  on_log = callback
end

function events.deliver_log(record)
  if on_log then
    on_log(record)
  end
end

local questions = {}
questions.__index = questions
questions.__name = "matrix.call"

local handles = setmetatable({}, { __mode = "k" }) -- question -> handle

-- Answers a question of the runtime. False when it was answered before or has timed out.
function events.respond(question, answer)
  local handle = handles[question]
  if not handle then
    error("respond: expected what on_call was given, got " .. check.type_name(question), 2)
  end
  if answer ~= nil and type(answer) ~= "table" then
    error("respond: answer: expected table, got " .. check.type_name(answer), 2)
  end
  if not core.is_open(handle) then
    return false
  end
  local done, code, message = core.respond(handle, answer or {})
  if not done and code ~= "E_INVALID_HANDLE" then
    errors.refuse("respond", code, message, 2)
  end
  return done == true
end
questions.respond = events.respond

-- matrix.on_call(fn): fn(question) answers with the table it returns, or later with question:respond(answer).
function events.on_call(callback)
  if callback ~= nil and type(callback) ~= "function" then
    error("on_call: callback: expected function, got " .. check.type_name(callback), 2)
  end
  local done, code, message = core.set_call(callback and 0)
  if not done then
    errors.refuse("on_call", code, message, 2)
  end
  on_call = callback
end

function events.deliver_call(question, handle)
  if not on_call then
    return
  end
  handles[setmetatable(question, questions)] = handle
  local answer = on_call(question)
  if answer ~= nil then
    questions.respond(question, answer)
  end
end

return events
