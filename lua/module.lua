-- SPDX-License-Identifier: Apache-2.0
-- The module `matrix`, put together. The C half calls this with its functions and returns what this returns.

local core = ...

local loaded = {}

-- require for the files of the Lua half, which are compiled in.
local function include(name)
  local result = loaded[name]
  if result == nil then
    result = core.chunk(name)(core, include)
    loaded[name] = result
  end
  return result
end

local check = include "check"
local client = include "client"
local dispatch = include "dispatch"
local errors = include "errors"
local events = include "events"
local list = include "operations"
local names = include "names"
local tasks = include "tasks"

local matrix = {
  create_client = client.create,
  with_client = client.with,
  dispatch = dispatch.dispatch,
  run = dispatch.run,
  shutdown = dispatch.shutdown,
  wait_ready = dispatch.wait_ready,
  spawn = tasks.spawn,
  pcall = tasks.pcall,
  on_log = events.on_log,
  on_call = events.on_call,
  respond = events.respond,
  fennel = include("fennel").get,
  null = core.null_value,
}

-- Options for the context of this lua_State, before its first use.
function matrix.init(options)
  if options ~= nil and type(options) ~= "table" then
    error("init: options: expected table, got " .. check.type_name(options), 2)
  end
  local map = {}
  local problem = check.options(list.context_options, options or {}, map)
  if problem then
    error("init: " .. problem, 2)
  end
  local done, code, message = core.init(map)
  if not done then
    errors.refuse("init", code, message, 2)
  end
end

-- A callback that does nothing, for calls whose outcome does not matter.
function matrix.ignore() end

-- The payload if it is ok; else its error is raised, with the place of this call as `where`.
function matrix.check(payload)
  if type(payload) ~= "table" or payload.ok == nil then
    error("check: expected a payload, got " .. check.type_name(payload), 2)
  end
  if not payload.ok then
    errors.raise(payload.error, 2)
  end
  return payload
end

-- Marks a table as a list, which matters when it is empty: {} is written as a map, matrix.array{} as a list.
function matrix.array(items)
  if items ~= nil and type(items) ~= "table" then
    error("array: expected table, got " .. check.type_name(items), 2)
  end
  return setmetatable(items or {}, core.array_mark)
end

function matrix.is_array(value)
  return type(value) == "table" and getmetatable(value) == core.array_mark
end

-- For event loops, in the manner of cqueues: when pollfd is readable, call dispatch.
function matrix.pollfd()
  local fd, code, message = core.fd()
  if not fd then
    errors.refuse("pollfd", code, message, 2)
  end
  return fd
end

function matrix.events()
  return "r"
end

-- Nothing is ever due by time alone.
function matrix.timeout()
  return nil
end

-- What is loaded: version, api_version, python, yyjson.
function matrix.version()
  return core.version()
end

core.array_mark.__name = "matrix.array"
matrix._VERSION = "libmatrix " .. core.version().version

-- A client polls like the module: they share one queue.
for _, name in ipairs { "pollfd", "events", "timeout" } do
  client.methods[name] = matrix[name]
end

return setmetatable(matrix, { __index = names.resolver(matrix) })
