-- What the programs of the pages share: a print that remembers.
local page = { printed = {} }

function page.print(...)
  local parts = {}
  for index = 1, select("#", ...) do
    parts[index] = tostring((select(index, ...)))
  end
  page.printed[#page.printed + 1] = table.concat(parts, "\t")
end

-- The only or last thing that was printed must have this text.
function page.says(text)
  local last = tostring(page.printed[#page.printed])
  if not last:find(text, 1, true) then
    error("it says " .. last .. ", not " .. text, 2)
  end
end

return page
