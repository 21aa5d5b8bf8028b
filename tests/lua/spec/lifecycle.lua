-- Contexts and handles: made at first use, freed by garbage collection, ended by shutdown.
local T = ...
local matrix = T.matrix

local function new_client()
  return matrix.create_client { homeserver = T.nowhere }
end

T.test("init is for before the first use, and checks its options", function()
  T.raises("init: unknown option 'max_request'", matrix.init, { max_request = 1 })
  T.raises("init: max_requests: expected integer", matrix.init, { max_requests = "1" })
  matrix.init { max_requests = 8 }
  T.raises("init: the context is in use already", matrix.init, {})
end)

T.test("a full queue refuses with an error that has a code", function()
  local client, done = new_client(), 0
  local accepted = 0
  local problem
  for _ = 1, 20 do
    local ok, raised = pcall(client.ping, client, { delay_ms = 100 }, function()
      done = done + 1
    end)
    if ok then
      accepted = accepted + 1
    else
      problem = raised
    end
  end
  T.equal(accepted, 8)
  T.equal(problem.code, "E_QUEUE_FULL")
  T.dispatch_until(function()
    return done == accepted
  end)
  client:close()
end)

T.test("a cursor that a full queue refused can be read later", function()
  local client, ended = new_client(), 0
  local held = {}
  for index = 1, 8 do
    held[index] = client:ping({ delay_ms = 60000 }, function()
      ended = ended + 1
    end)
  end
  local cursors = { client:cursor "!room:localhost", client:cursor "!room:localhost" }
  matrix.run(function()
    for _ = 1, 2 do
      T.equal(T.raises("next", cursors[1].next, cursors[1], matrix.ignore).code, "E_QUEUE_FULL")
      local ok, problem = matrix.pcall(function()
        cursors[2]:next()
      end)
      T.equal(ok, false)
      T.equal(problem.code, "E_QUEUE_FULL")
    end
  end)
  for _, request in ipairs(held) do
    request:cancel()
  end
  T.dispatch_until(function()
    return ended == 8
  end)
  local told
  cursors[1]:next(function(event, problem)
    told = { event, problem }
  end)
  matrix.run(function()
    local event, problem = cursors[2]:next()
    T.equal(event, nil)
    T.equal(problem.code, "E_NOT_LOGGED_IN")
    T.equal(cursors[2].error, problem)
    T.equal(select(2, cursors[2]:next()).code, "E_NOT_LOGGED_IN")
  end)
  T.dispatch_until(function()
    return told
  end)
  T.equal(told[1], nil)
  T.equal(told[2].code, "E_NOT_LOGGED_IN")
  client:close()
  T.raises("lifecycle%.lua:%d+: next: the client is closed", function()
    cursors[1]:next(matrix.ignore)
  end)
end)

T.test("shutdown calls back what is open, then all is void", function()
  local client, payloads = new_client(), {}
  local subscription = client:subscribe("message", print)
  for _ = 1, 3 do
    client:ping({ delay_ms = 60000 }, function(payload)
      payloads[#payloads + 1] = payload
    end)
  end
  matrix.shutdown(500)
  T.equal(#payloads, 3)
  for _, payload in ipairs(payloads) do
    T.equal(payload.ok, false)
    T.matches(payload.error.code, "^E_SHUTDOWN$")
  end
  T.raises("ping: the client is closed", client.ping, client, matrix.ignore)
  T.equal(subscription:unsubscribe(), false)
  T.equal(client:close(), false)
  matrix.shutdown()
end)

T.test("after a shutdown a new context comes with the next use", function()
  T.with_client(function(client)
    T.equal(client:ping({ payload = 1 }).payload, 1)
  end)
  matrix.shutdown()
  T.with_client(function(client)
    T.equal(client:ping({ payload = 2 }).payload, 2)
  end)
end)

T.test("a task gets E_SHUTDOWN as a payload", function()
  local client, code = new_client(), nil
  matrix.spawn(function()
    code = client:ping({ delay_ms = 60000 }).error.code
  end)
  matrix.shutdown()
  T.equal(code, "E_SHUTDOWN")
end)

-- A client that does this when its context is shut down.
local function at_shutdown(f)
  local client = new_client()
  client:ping({ delay_ms = 60000 }, function(payload)
    if payload.error and payload.error.code == "E_SHUTDOWN" then
      f()
    end
  end)
end

T.test("what a callback makes during a shutdown belongs to the next context", function()
  local client, subscription, payload
  at_shutdown(function()
    client = new_client()
    subscription = client:subscribe("message", print)
    client:ping({ payload = "kept" }, function(answer)
      payload = answer
    end)
  end)
  matrix.shutdown(500)
  T.dispatch_until(function()
    return payload
  end)
  T.same(payload, { ok = true, payload = "kept" })
  T.equal(subscription:unsubscribe(), true)
  T.equal(client:close(), true)
end)

T.test("a client that comes again with each shutdown does not keep one for ever", function()
  local made, open = 0, true
  local function connect()
    made = made + 1
    if open and made < 1000 then
      at_shutdown(connect)
    end
  end
  connect()
  for expected = 2, 4 do
    matrix.shutdown(500)
    T.equal(made, expected)
  end
  open = false
  matrix.shutdown(500)
end)

T.test("a client that is garbage is closed", function()
  local closed
  do
    local client = new_client()
    closed = setmetatable({ client }, { __mode = "v" })
  end
  for _ = 1, 3 do
    collectgarbage()
  end
  T.equal(closed[1], nil)
end)

T.test("a client with a request in flight is no garbage", function()
  local payload
  new_client():ping({ delay_ms = 50, payload = 1 }, function(answer)
    payload = answer
  end)
  for _ = 1, 3 do
    collectgarbage()
  end
  T.dispatch_until(function()
    return payload
  end)
  T.same(payload, { ok = true, payload = 1 })
end)

T.test("a client with a subscription is no garbage", function()
  local weak = setmetatable({ new_client() }, { __mode = "v" })
  weak[1]:subscribe("message", print)
  for _ = 1, 3 do
    collectgarbage()
  end
  T.matches(tostring(weak[1]), "^matrix.client: ")
  weak[1]:close()
end)

T.test("thousands of handles leave nothing behind", function()
  collectgarbage()
  local client = new_client()
  local before = collectgarbage "count"
  local done = 0
  local function count()
    done = done + 1
  end
  for round = 1, 20 do
    for _ = 1, 100 do
      client:ping(count)
      client:subscribe("message", count):unsubscribe()
    end
    T.dispatch_until(function()
      return done == round * 100
    end)
  end
  collectgarbage()
  collectgarbage()
  T.equal(collectgarbage "count" - before < 200, true, "kilobytes kept")
  client:close()
end)

T.test("a second require gives the same module", function()
  package.loaded.matrix = nil
  T.equal(require "matrix", matrix)
end)

T.test("<close> closes clients, subscriptions and requests", function()
  local source = [[
    local T, matrix = ...
    local kept
    do
      local client <close> = matrix.create_client { homeserver = T.nowhere }
      local subscription <close> = client:subscribe("message", print)
      local request <close> = client:ping({ delay_ms = 60000 }, matrix.ignore)
      kept = { client, subscription }
    end
    return tostring(kept[1]), tostring(kept[2])
  ]]
  local chunk = (loadstring or load)(source)
  if _VERSION == "Lua 5.4" or _VERSION == "Lua 5.5" then
    local client, subscription = chunk(T, matrix)
    T.matches(client, "closed")
    T.matches(subscription, "closed")
  else
    T.equal(chunk, nil)
  end
end)

T.test("version tells what is loaded", function()
  local version = matrix.version()
  T.matches(version.version, "^%d+%.%d+%.%d+$")
  T.matches(version.python, "^3%.")
  T.equal(type(version.api_version), "number")
  T.equal(matrix._VERSION, "libmatrix " .. version.version)
  T.equal(matrix.wait_ready(20000), true)
end)
