-- SPDX-License-Identifier: Apache-2.0
-- Errors: those that travel in payloads, and calls that were refused.

local errors = {}

local metatable = { __name = "matrix.error" }

function metatable.__tostring(self)
  local text = tostring(self.code)
  if self.message and self.message ~= "" then
    text = text .. ": " .. self.message
  end
  if self.http_status then
    text = text .. " (HTTP " .. tostring(self.http_status) .. ")"
  end
  return text
end

-- Makes an error of a table with code and message.
function errors.new(record)
  return setmetatable(record, metatable)
end

-- A payload that says no.
function errors.payload(record)
  return { ok = false, error = errors.new(record) }
end

-- Mistakes of the program: their text is enough, and says where.
local mistakes = {
  E_INVALID_ARGUMENT = "invalid argument",
  E_INVALID_HANDLE = "it is closed",
}

-- Raises what a call of the core was refused with. `level` counts as in error().
function errors.refuse(what, code, message, level)
  if mistakes[code] then
    error(what .. ": " .. (message ~= "" and message or mistakes[code]), level + 1)
  end
  error(errors.new { code = code, message = what .. ": " .. (message ~= "" and message or "refused") })
end

return errors
