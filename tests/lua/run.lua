-- Runs one spec: lua run.lua SPEC [MODE]. The spec is called with the table T; it defines tests with T.test.
-- "greedy" collects garbage all the time, so that what nothing holds is gone when it is used; "embedded" returns
-- how many failed instead of ending the process.
local spec, mode = ...
local matrix = require "matrix"

local T = { matrix = matrix, tests = {}, greedy = mode == "greedy" }
local unpack = table.unpack or unpack

-- No homeserver is needed for ping; nobody listens there.
T.nowhere = "http://127.0.0.1:9"

function T.test(name, f)
  T.tests[#T.tests + 1] = { name = name, f = f }
end

local function show(value)
  return type(value) == "string" and string.format("%q", value) or tostring(value)
end

function T.equal(actual, expected, what)
  if actual ~= expected then
    error((what and what .. ": " or "") .. "expected " .. show(expected) .. ", got " .. show(actual), 2)
  end
end

function T.same(actual, expected, path)
  path = path or "value"
  if type(actual) ~= "table" or type(expected) ~= "table" then
    return T.equal(actual, expected, path)
  end
  for key, value in pairs(expected) do
    T.same(actual[key], value, path .. "." .. tostring(key))
  end
  for key in pairs(actual) do
    if expected[key] == nil then
      error(path .. " has an unexpected " .. tostring(key), 2)
    end
  end
end

function T.matches(text, pattern)
  text = tostring(text)
  if not string.find(text, pattern) then
    error(string.format("expected %q to match %q", text, pattern), 2)
  end
end

-- f(…) must raise something that matches the pattern.
function T.raises(pattern, f, ...)
  local ok, problem = pcall(f, ...)
  if ok then
    error("nothing was raised", 2)
  end
  if not string.find(tostring(problem), pattern) then
    error(string.format("expected an error like %q, got %q", pattern, tostring(problem)), 2)
  end
  return problem
end

-- f(client) inside matrix.run; its results.
function T.with_client(f)
  local client = matrix.create_client { homeserver = T.nowhere }
  local results = { pcall(matrix.run, function()
    return f(client)
  end) }
  client:close()
  if not results[1] then
    error(results[2], 0)
  end
  return unpack(results, 2)
end

-- Dispatches until done() holds; an error after a minute.
function T.dispatch_until(done)
  local deadline = os.time() + 60
  while not done() do
    matrix.dispatch(50)
    if os.time() > deadline then
      error("nothing came", 2)
    end
  end
end

local function be_greedy()
  if jit then
    jit.off() -- compiled code calls no hook
  end
  if collectgarbage "count" and not pcall(collectgarbage, "param", "pause", 0) then
    collectgarbage("setpause", 0)
    collectgarbage("setstepmul", 10000)
  end
  debug.sethook(function()
    collectgarbage()
  end, "", 5000)
end

-- A module must not leave globals behind.
setmetatable(_G, {
  __newindex = function(_, name)
    error("a global was set: " .. tostring(name), 2)
  end,
})

if string.find(spec, "%.fnl$") then
  matrix.fennel().dofile(spec, { correlate = true }, T)
else
  assert(loadfile(spec))(T)
end
if T.greedy then
  be_greedy()
end

local failed = 0
for _, test in ipairs(T.tests) do
  local ok, problem = xpcall(test.f, function(problem)
    return debug.traceback(tostring(problem), 2)
  end)
  print((ok and "ok   " or "FAIL ") .. test.name)
  if not ok then
    failed = failed + 1
    print(problem)
  end
end
print(#T.tests .. " tests, " .. failed .. " failed, " .. _VERSION)
if mode == "embedded" then
  return failed
end
os.exit(failed == 0 and #T.tests > 0 and 0 or 1, true)
