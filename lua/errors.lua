-- SPDX-License-Identifier: Apache-2.0
-- Errors: those that travel in payloads, and calls that were refused.

local errors = {}

local metatable = { __name = "matrix.error" }

function metatable.__tostring(self)
  local text = (self.where and self.where .. ": " or "") .. tostring(self.code)
  if self.message and self.message ~= "" then
    text = text .. ": " .. self.message
  end
  if self.http_status then
    text = text .. " (HTTP " .. tostring(self.http_status) .. ")"
  end
  return text
end

function metatable.__concat(left, right)
  return tostring(left) .. tostring(right)
end

-- Makes an error of a table with code and message.
function errors.new(record)
  return setmetatable(record, metatable)
end

-- A payload that says no.
function errors.payload(record)
  return { ok = false, error = errors.new(record) }
end

-- Raises an error that travels in payloads; `level` counts as in error() and says what `where` becomes.
function errors.raise(problem, level)
  local place = debug and debug.getinfo(level + 1, "Sl")
  if place and place.currentline > 0 then
    problem.where = place.short_src .. ":" .. place.currentline
  end
  error(problem, 0)
end

-- Raises what a call of the core was refused with. `level` counts as in error(). Mistakes of the program are
-- raised as text that says where; the rest as an error with a code, for the program may want to try again.
function errors.refuse(what, code, message, level)
  if code == "E_INVALID_ARGUMENT" or code == "E_BUSY" then
    error(what .. ": " .. message, level + 1)
  elseif code == "E_INVALID_HANDLE" then
    error(what .. ": the client is closed", level + 1)
  end
  error(errors.new { code = code, message = what .. (message ~= "" and ": " .. message or " was refused") })
end

return errors
