-- SPDX-License-Identifier: Apache-2.0
-- Names as Fennel writes them (send-text) stand for those of Lua (send_text).

local names = {}

function names.snake(name)
  return (string.gsub(name, "%-", "_"))
end

-- An __index function that finds kebab-case keys in `target` and remembers them there.
function names.resolver(target)
  return function(_, key)
    if type(key) ~= "string" or not string.find(key, "-", 1, true) then
      return nil
    end
    local value = rawget(target, names.snake(key))
    if value ~= nil then
      rawset(target, key, value)
    end
    return value
  end
end

return names
