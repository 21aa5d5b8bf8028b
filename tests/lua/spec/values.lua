-- What goes in and comes out: null, lists and maps, integers, strings.
local T = ...
local matrix = T.matrix

local has_integers = math.type ~= nil

local function echo(value)
  return T.with_client(function(client)
    return matrix.check(client:ping { payload = value }).payload
  end)
end

local function refused(pattern, value)
  T.raises("^[^:]+:%d+: ping: " .. pattern, echo, value)
end

T.test("scalars come back as they were", function()
  for _, value in ipairs { true, false, 0, 1, -1, 0.5, -1e300, 1e-7, "", "text" } do
    T.equal(echo(value), value)
  end
end)

T.test("strings keep every byte", function()
  local texts = { "a\0b", "\1\31\127", 'quo"te\\', "\n\r\t", "gr\195\188n \226\130\172 \240\159\144\184" }
  for _, text in ipairs(texts) do
    T.equal(echo(text), text)
    T.equal(echo({ text }) [1], text)
    T.equal(echo({ key = { [text] = text } }).key[text], text)
  end
end)

T.test("a string of a megabyte passes", function()
  local text = string.rep("x\"", 500000)
  T.equal(echo { text = text }.text, text)
end)

T.test("null is one value, true, and says its name", function()
  local back = echo { nothing = matrix.null, list = { matrix.null, 1, matrix.null } }
  T.equal(back.nothing, matrix.null)
  T.equal(back.list[1], matrix.null)
  T.equal(back.list[3], matrix.null)
  T.equal(#back.list, 3)
  T.equal(tostring(matrix.null), "null")
end)

T.test("an empty table is a map, an empty array a list", function()
  local back = echo { map = {}, list = matrix.array() }
  T.equal(matrix.is_array(back.map), false)
  T.equal(matrix.is_array(back.list), true)
  T.equal(next(back.list), nil)
end)

T.test("a list that came empty goes out as a list", function()
  local back = echo { list = matrix.array {} }
  T.equal(matrix.is_array(echo(back).list), true)
end)

T.test("lists and maps keep their order and names", function()
  local value = { list = { 1, "two", { three = 3 }, { 4 } }, deep = { deep = { deep = { true } } } }
  T.same(echo(value), value)
  T.equal(matrix.is_array(echo(value).list), true)
  T.equal(matrix.is_array(echo(value).deep), false)
end)

T.test("array marks a table and gives it back", function()
  local items = { 1, 2 }
  T.equal(matrix.array(items), items)
  T.equal(matrix.is_array(items), true)
  T.equal(matrix.is_array { 1 }, false)
  T.equal(matrix.is_array "text", false)
  T.raises("array: expected table, got number", matrix.array, 1)
end)

T.test("whole numbers go in as integers", function()
  local back = echo { 1.0, 3e9, -2 ^ 53 }
  T.equal(back[1], 1)
  T.equal(back[2], 3000000000)
  T.equal(back[3], -2 ^ 53)
  if has_integers then
    T.equal(math.type(back[1]), "integer")
    T.equal(math.type(echo(0.5)), "float")
  end
end)

T.test("large integers: native, or decimal strings where a double cannot hold them", function()
  if has_integers then
    for _, value in ipairs { math.maxinteger, math.mininteger, 9007199254740993 } do
      T.equal(echo(value), value)
    end
  else
    -- 2^53 + 1 cannot be written as a number here; a host call's timeout can be read only as what it is.
    T.equal(echo(2 ^ 53), 2 ^ 53)
    T.equal(echo(2 ^ 60), 2 ^ 60)
  end
end)

T.test("NaN and infinity are refused by name", function()
  refused("payload: NaN", 0 / 0)
  refused("payload: infinity", 1 / 0)
  refused("payload%.a%[2%]: NaN", { a = { 1, 0 / 0 } })
end)

T.test("text that is not UTF-8 is refused by name", function()
  for _, text in ipairs { "\255", "\192\175", "\237\160\128", "\244\144\128\128", "cut \226\130" } do
    refused("payload: is not valid UTF%-8", text)
    refused("payload%.list%[1%]: is not valid UTF%-8", { list = { text } })
    refused("payload%..*: the key is not valid UTF%-8", { [text] = 1 })
  end
end)

T.test("tables that are neither list nor map are refused by name", function()
  refused("payload: has both numbered and named entries", { 1, name = 2 })
  refused("payload%.list%[2%]: is missing", { list = { 1, nil, 3 } })
  refused("payload: has the number 0 as key", { [0] = 1 })
  refused("payload: has the number 1.5 as key", { [1.5] = 1 })
  refused("payload: has a boolean as key", { [true] = 1 })
  refused("payload: has both numbered and named entries", matrix.array { name = 1 })
end)

T.test("functions, threads and foreign userdata are refused by name", function()
  refused("payload: expected a value JSON can hold, got function", print)
  refused("payload%.f: a function cannot be passed", { f = print })
  refused("payload%[1%]: a thread cannot be passed", { coroutine.create(function() end) })
  refused("payload%.file: a userdata cannot be passed", { file = io.stdout })
end)

T.test("a table that contains itself is refused, as is one nested too deep", function()
  local circle = {}
  circle.again = circle
  refused("payload%.again.*%.%.%.%.again: is nested deeper than 64 levels", circle)
  local deep = {}
  for _ = 1, 100 do
    deep = { deep }
  end
  refused("payload%[1%].*%.%.%.%[1%]: is nested deeper than 64 levels", deep)
end)

T.test("depth up to the limit passes", function()
  local deep = "bottom"
  for _ = 1, 50 do
    deep = { deep }
  end
  T.same(echo(deep), deep)
end)

T.test("metamethods of what is passed do not run", function()
  local proxy = setmetatable({ seen = 1 }, {
    __index = function()
      error "read"
    end,
    __pairs = function()
      error "walked"
    end,
  })
  T.equal(echo { proxy = proxy }.proxy.seen, 1)
end)

T.test("bytes travel as base64", function()
  local name, core = debug.getupvalue(matrix.version, 1)
  T.equal(name, "core")
  local vectors = { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", ["\0\255\254"] = "AP/+" }
  for bytes, text in pairs(vectors) do
    T.equal(core.to_base64(bytes), text)
    T.equal(core.from_base64(text), bytes)
  end
  T.equal(core.from_base64 "Zg", "f")
  T.equal(core.from_base64 "Z*==", nil)
  local all = {}
  for byte = 0, 255 do
    all[#all + 1] = string.char(byte)
  end
  local long = string.rep(table.concat(all), 50)
  T.equal(core.from_base64(core.to_base64(long)), long)
end)
