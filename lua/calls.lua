-- SPDX-License-Identifier: Apache-2.0
-- Requests: from a call of a method to the one callback it ends with.

local core, include = ...
local check = include "check"
local errors = include "errors"

local calls = {}

-- By token. An entry lives from just before the submission to just before the callback.
local callbacks = {} -- a function, or the coroutine that waits
local owners = {} -- the client, which must not be closed as garbage meanwhile
local reporters = {} -- on_progress functions
local converters = {} -- operations whose result or progress holds bytes
local last_token = 0

local function new_token()
  last_token = last_token + 1
  return last_token
end
calls.new_token = new_token

-- The newest token there is; those of later calls are larger.
function calls.newest()
  return last_token
end

local function forget(token)
  callbacks[token], owners[token], reporters[token], converters[token] = nil, nil, nil, nil
end

-- Sorts what follows the arguments into options, callback and on_progress; or says what is wrong.
local function read_rest(operation, map, options, callback)
  if type(options) == "function" and callback == nil then
    options, callback = nil, options
  end
  if options ~= nil and type(options) ~= "table" then
    return "options: expected table, got " .. check.type_name(options)
  end
  if callback ~= nil and type(callback) ~= "function" then
    return "callback: expected function, got " .. check.type_name(callback)
  end
  local on_progress
  if options and operation.progress then
    on_progress = rawget(options, "on_progress") or rawget(options, "on-progress")
    if on_progress ~= nil then
      if type(on_progress) ~= "function" then
        return "on_progress: expected function, got " .. check.type_name(on_progress)
      end
      options = calls.without_progress(options)
    end
  end
  local problem = check.options(operation.options, options or {}, map)
  return problem, callback, on_progress
end

function calls.without_progress(options)
  local rest = {}
  for name, value in pairs(options) do
    if name ~= "on_progress" and name ~= "on-progress" then
      rest[name] = value
    end
  end
  return rest
end

-- All arguments as one map, then callback and on_progress; or nil and what is wrong.
function calls.read(operation, ...)
  local map, count = {}, #operation.arguments
  for index, field in ipairs(operation.arguments) do
    local value, problem = check.field(field, (select(index, ...)))
    if problem then
      return nil, problem
    end
    map[field.name] = value
  end
  if select("#", ...) > count + 2 then
    return nil, "too many arguments"
  end
  local problem, callback, on_progress = read_rest(operation, map, select(count + 1, ...))
  if problem then
    return nil, problem
  end
  return map, callback, on_progress
end

-- Submits; the request and its token, or nil, code and message when it was refused.
function calls.submit(client, operation, map, callback, on_progress)
  local token = new_token()
  callbacks[token], owners[token], reporters[token] = callback, client, on_progress
  if operation.has_bytes then
    converters[token] = operation
  end
  local request, code, message = core.submit(client, operation.name, map, token)
  if not request then
    forget(token)
    return nil, code, message
  end
  if on_progress then
    core.progress(request, token)
  end
  return request, token
end

local function decode_bytes(fields, record)
  for _, field in ipairs(fields) do
    if field.type == "bytes" and type(record[field.name]) == "string" then
      record[field.name] = core.from_base64(record[field.name])
    end
  end
end

-- Takes the one final answer to a request. Returns its callback, already forgotten, and the payload.
function calls.finish(token, payload, is_error)
  local callback, operation = callbacks[token], converters[token]
  forget(token)
  if is_error then
    payload = errors.payload(payload)
  elseif operation then
    decode_bytes(operation.result, payload)
  end
  return callback, payload
end

function calls.report(token, payload)
  local reporter, operation = reporters[token], converters[token]
  if operation then
    decode_bytes(operation.progress, payload)
  end
  if reporter then
    reporter(payload)
  end
end

-- The tokens that are still open, up to `newest`, oldest first.
function calls.open(newest)
  local open = {}
  for token in pairs(callbacks) do
    if token <= newest then
      open[#open + 1] = token
    end
  end
  table.sort(open)
  return open
end

local methods = {}

-- Asks for the end of the request; it still calls back once. False when it has ended already.
function methods.cancel(request)
  if getmetatable(request) ~= core.request then
    error("cancel: expected a request, got " .. check.type_name(request), 2)
  end
  return core.cancel(request)
end

core.request.__index = methods

-- 5.4: leaving the scope of a `<close>` variable cancels what is still in flight.
function core.request.__close(request)
  core.cancel(request)
end

return calls
