-- SPDX-License-Identifier: Apache-2.0
-- Checks what a program passes against the list, so that a mistake is told in the words of Lua.

local core, include = ...
local list = include "operations"
local names = include "names"

local check = {}

-- An empty table where a list is due: without the mark it would be written as a map.
local empty_list = setmetatable({}, core.array_mark)

local function type_name(value)
  local kind = type(value)
  if kind == "userdata" then
    local metatable = getmetatable(value)
    return type(metatable) == "table" and metatable.__name or kind
  end
  return kind
end

local function expected(what, value)
  return nil, "expected " .. what .. ", got " .. type_name(value)
end

local function simple(kind)
  return function(_, value)
    if type(value) ~= kind then
      return expected(kind, value)
    end
    return value
  end
end

local function range(field)
  if not field.least then
    return "at most " .. field.most
  end
  return field.most and "from " .. field.least .. " to " .. field.most or "at least " .. field.least
end

local function integer(field, value)
  if type(value) ~= "number" then
    return expected("integer", value)
  end
  if value % 1 ~= 0 then
    return nil, "expected integer, got the number " .. tostring(value)
  end
  if (field.least and value < field.least) or (field.most and value > field.most) then
    return nil, "must be " .. range(field) .. ", got " .. tostring(value)
  end
  return value
end

local function bytes(_, value)
  if type(value) ~= "string" then
    return expected("string", value)
  end
  return core.to_base64(value)
end

local function enum(field, value)
  if type(value) ~= "string" then
    return expected("string", value)
  end
  for _, known in ipairs(list.enums[field.enum]) do
    if value == known then
      return value
    end
  end
  return nil, "expected one of " .. table.concat(list.enums[field.enum], ", ") .. ", got '" .. value .. "'"
end

local readers = {
  bool = simple "boolean",
  int = integer,
  double = simple "number",
  string = simple "string",
  record = simple "table",
  bytes = bytes,
  enum = enum,
}

-- Any value JSON can hold; what is inside is looked at when it is written.
function readers.json(_, value)
  local kind = type(value)
  if kind == "function" or kind == "thread" or (kind == "userdata" and value ~= core.null_value) then
    return expected("a value JSON can hold", value)
  end
  return value
end

function readers.list(field, value)
  if type(value) ~= "table" then
    return expected("a list", value)
  end
  if next(value) == nil then
    return empty_list
  end
  local item = { enum = field.enum, record = field.record }
  local copy = setmetatable({}, core.array_mark)
  for index, element in pairs(value) do
    local read, problem = readers[field.item](item, element)
    if problem then
      return nil, "[" .. tostring(index) .. "]: " .. problem
    end
    copy[index] = read
  end
  return copy
end

-- The value to pass for `field`, or nil and "name: what is wrong".
function check.field(field, value)
  local read, problem = readers[field.type](field, value)
  if problem then
    return nil, field.name .. (string.sub(problem, 1, 1) == "[" and "" or ": ") .. problem
  end
  return read
end

local function known_names(fields)
  local known = {}
  for _, field in ipairs(fields) do
    known[#known + 1] = field.name
  end
  return #known > 0 and "known are " .. table.concat(known, ", ") or "there are none"
end

local by_name = setmetatable({}, { __mode = "k" })

local function find(fields, name)
  local index = by_name[fields]
  if not index then
    index = {}
    for _, field in ipairs(fields) do
      index[field.name] = field
    end
    by_name[fields] = index
  end
  return index[name] or index[names.snake(name)]
end

-- Copies options into `map` by the names of `fields`. Returns what is wrong, if anything is.
function check.options(fields, options, map)
  for name, value in pairs(options) do
    if type(name) ~= "string" then
      return "options are given by name, not by " .. type_name(name)
    end
    local field = find(fields, name)
    if not field then
      return "unknown option '" .. name .. "'; " .. known_names(fields)
    end
    local read, problem = check.field(field, value)
    if problem then
      return problem
    end
    map[field.name] = read
  end
  return check.required(fields, map)
end

-- What a map without options lacks, if anything.
function check.required(fields, map)
  for _, field in ipairs(fields) do
    if field.required and map[field.name] == nil then
      return field.name .. ": is missing"
    end
  end
  return nil
end

check.type_name = type_name
return check
