-- SPDX-License-Identifier: Apache-2.0
-- Clients: one method for each operation of the list.

local core, include = ...
local calls = include "calls"
local check = include "check"
local cursors = include "cursors"
local errors = include "errors"
local events = include "events"
local list = include "operations"
local names = include "names"
local tasks = include "tasks"

local client = {}
local methods = {}

local function is_client(value)
  return getmetatable(value) == core.client
end

-- The method of an operation. With a callback it returns the request; without one it waits for the payload.
local function method(operation)
  local name = operation.name
  return function(self, ...)
    if not is_client(self) then
      error(name .. ": call it with a colon, client:" .. name .. "(…)", 2)
    end
    local map, callback, on_progress = calls.read(operation, ...)
    if not map then
      error(name .. ": " .. callback, 2)
    end
    local task = not callback and tasks.needed(name, 2)
    local request, token, message = calls.submit(self, operation, map, callback or task.coroutine, on_progress)
    if not request then
      errors.refuse(name, token, message, 2)
    end
    if callback then
      return request
    end
    return (tasks.wait(task, token))
  end
end

local function has_bytes(fields)
  for _, field in ipairs(fields or {}) do
    if field.type == "bytes" then
      return true
    end
  end
  return false
end

for name, operation in pairs(list.operations) do
  operation.has_bytes = has_bytes(operation.result) or has_bytes(operation.progress)
  methods[name] = method(operation)
end

methods.subscribe = events.subscribe
cursors.install(methods)

-- Closes the client; what it has in flight calls back with E_CANCELLED. False when it was closed before.
function methods.close(self)
  if not is_client(self) then
    error("close: expected a client, got " .. check.type_name(self), 2)
  end
  events.forget(self)
  return core.close_client(self)
end

core.client.__index = setmetatable(methods, { __index = names.resolver(methods) })
core.client.__close = methods.close

client.methods = methods

-- A client; mistakes are raised at `level`, as error() counts it.
local function make(options, level)
  if type(options) ~= "table" then
    error("create_client: options: expected table, got " .. check.type_name(options), level + 1)
  end
  local map = {}
  local problem = check.options(list.client_options, options, map)
  if problem then
    error("create_client: " .. problem, level + 1)
  end
  local made, code, message = core.create_client(map)
  if not made then
    errors.refuse("create_client", code, message, level + 1)
  end
  return made
end

-- matrix.create_client(options)
function client.create(options)
  local made = make(options, 2)
  return made
end

-- matrix.with_client(options, f): f(client), and the client closed however f ends.
function client.with(options, f)
  if type(f) ~= "function" then
    error("with_client: expected function, got " .. check.type_name(f), 2)
  end
  local made = make(options, 2)
  local function finish(ok, ...)
    methods.close(made)
    if not ok then
      error((...), 0)
    end
    return ...
  end
  return finish(tasks.pcall(f, made))
end

return client
