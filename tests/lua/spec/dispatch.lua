-- Dispatch: counts, budgets, errors, and what it refuses.
local T = ...
local matrix = T.matrix

local function new_client()
  return matrix.create_client { homeserver = T.nowhere }
end

local function submit(client, count, callback)
  for index = 1, count do
    client:ping({ payload = index }, callback)
  end
end

T.test("dispatch says how many callbacks ran", function()
  local client, count = new_client(), 0
  matrix.dispatch()
  client:ping(function()
    count = count + 1
  end)
  local ran = 0
  T.dispatch_until(function()
    ran = ran + matrix.dispatch(10)
    return count == 1
  end)
  T.equal(matrix.dispatch(), 0)
  client:close()
end)

T.test("callbacks run in dispatch only", function()
  local client, inside, outside = new_client(), 0, 0
  local dispatching = false
  submit(client, 100, function()
    if dispatching then
      inside = inside + 1
    else
      outside = outside + 1
    end
  end)
  while inside + outside < 100 do
    dispatching = true
    matrix.dispatch(1000, 1)
    dispatching = false
    collectgarbage()
  end
  T.equal(outside, 0)
  client:close()
end)

T.test("a budget is overrun by one callback at most", function()
  local client, count = new_client(), 0
  submit(client, 10, function()
    count = count + 1
    T.matches(string.rep("x", 100000), "x$") -- takes longer than a microsecond
  end)
  for expected = 1, 10 do
    T.equal(matrix.dispatch(10000, 1), 1)
    T.equal(count, expected)
  end
  client:close()
end)

T.test("a timeout is kept", function()
  local begin = os.time()
  matrix.dispatch(1100)
  T.equal(os.time() - begin >= 1, true)
  T.equal(os.time() - begin <= 60, true)
end)

T.test("a budget ends dispatch and leaves the rest queued", function()
  local client, count = new_client(), 0
  submit(client, 200, function()
    count = count + 1
    local deadline = os.clock() + 0.002
    while os.clock() < deadline do
    end
  end)
  local ran = matrix.dispatch(5000, 5000)
  T.equal(ran, count)
  T.equal(ran >= 1 and ran < 50, true, "ran " .. ran)
  T.dispatch_until(function()
    return count == 200
  end)
  client:close()
end)

T.test("an error in a callback comes out of dispatch; the rest stays queued", function()
  local client, seen = new_client(), {}
  submit(client, 5, function(payload)
    seen[#seen + 1] = payload.payload
    if payload.payload == 2 then
      error("second", 0)
    end
  end)
  T.raises("^second$", T.dispatch_until, function()
    return #seen == 5
  end)
  local before = #seen
  T.equal(before < 5, true)
  T.dispatch_until(function()
    return #seen == 5
  end)
  table.sort(seen)
  T.same(seen, { 1, 2, 3, 4, 5 })
  client:close()
end)

T.test("the traceback of such an error names the callback", function()
  local client, trace = new_client(), nil
  client:ping(function()
    error("traced")
  end)
  local ok = xpcall(function()
    T.dispatch_until(function() end)
  end, function(problem)
    trace = debug.traceback(problem)
  end)
  T.equal(ok, false)
  T.matches(trace, "traced")
  T.matches(trace, "dispatch%.lua:%d+: in function.*dispatch%.lua:%d+: in")
  client:close()
end)

T.test("dispatch and shutdown inside a callback are refused", function()
  local client, done = new_client(), nil
  client:ping(function()
    T.raises("dispatch: it is running already", matrix.dispatch)
    T.raises("shutdown: not to be called inside a callback", matrix.shutdown)
    done = true
  end)
  T.dispatch_until(function()
    return done
  end)
  client:close()
end)

T.test("dispatch in a coroutine that died of an error does not block the next", function()
  local client = new_client()
  client:ping(function()
    error("dead", 0)
  end)
  local co = coroutine.create(function()
    T.dispatch_until(function() end)
  end)
  local ok, problem = coroutine.resume(co)
  T.equal(ok, false)
  T.equal(problem, "dead")
  matrix.dispatch()
  client:close()
end)

T.test("a callback that yields keeps dispatch busy until it is resumed", function()
  local client, steps = new_client(), 0
  client:ping(function()
    steps = 1
    coroutine.yield("pause")
    steps = 2
  end)
  local co = coroutine.create(function()
    while steps < 2 do
      matrix.dispatch(100)
    end
    return "end"
  end)
  T.equal(select(2, coroutine.resume(co)), "pause")
  T.raises("dispatch: it is running already", matrix.dispatch)
  T.equal(select(2, coroutine.resume(co)), "end")
  T.equal(steps, 2)
  matrix.dispatch()
  client:close()
end)

T.test("callbacks may submit again", function()
  local client, left = new_client(), 50
  local function again()
    left = left - 1
    if left > 0 then
      client:ping(again)
    end
  end
  client:ping(again)
  T.dispatch_until(function()
    return left == 0
  end)
  client:close()
end)

T.test("callbacks that submit again do not keep dispatch for ever", function()
  local client, count, open = new_client(), 0, true
  local function again()
    count = count + 1
    if open then
      client:ping(again)
    end
  end
  client:ping(again)
  for _ = 1, 20 do
    matrix.dispatch(1000)
  end
  open = false
  T.equal(count >= 20 and count <= 40, true, "ran " .. count)
  client:close()
  matrix.dispatch(100)
end)

T.test("module and client poll alike", function()
  local client = new_client()
  T.equal(type(matrix.pollfd()), "number")
  T.equal(client:pollfd(), matrix.pollfd())
  T.equal(client:events(), "r")
  T.equal(matrix.events(), "r")
  T.equal(client:timeout(), nil)
  client:close()
end)

T.test("dispatch checks its arguments", function()
  T.raises("dispatch: timeout_ms: expected number, got string", matrix.dispatch, "1")
  T.raises("budget_us: expected number, got table", matrix.dispatch, 0, {})
  T.raises("budget_us: expected number", matrix.dispatch, 0, 0 / 0)
  T.equal(matrix.dispatch(0, math.huge), 0)
  T.equal(matrix.dispatch(0.5, -1), 0)
  T.raises("shutdown: timeout_ms: expected number, got boolean", matrix.shutdown, true)
  T.raises("wait_ready: timeout_ms: expected number, got boolean", matrix.wait_ready, true)
end)
