-- Straight-line code: run, spawn, join, pcall, with_client.
local T = ...
local matrix = T.matrix

local function new_client()
  return matrix.create_client { homeserver = T.nowhere }
end

T.test("run returns what its function returns", function()
  local a, b, c = matrix.run(function()
    return 1, nil, 3
  end)
  T.equal(a, 1)
  T.equal(b, nil)
  T.equal(c, 3)
end)

T.test("a call without callback waits for its payload", function()
  T.with_client(function(client)
    for index = 1, 3 do
      T.same(client:ping { payload = index }, { ok = true, payload = index })
    end
  end)
end)

T.test("run takes several functions and runs them side by side", function()
  local client, order = new_client(), {}
  local function wait(name, pings)
    return function()
      for _ = 1, pings do
        client:ping()
      end
      order[#order + 1] = name
      return name
    end
  end
  T.equal(matrix.run(wait("slow", 20), wait("fast", 1)), "slow")
  T.same(order, { "fast", "slow" })
  client:close()
end)

T.test("an error goes through run as it is", function()
  local problem = {}
  local ok, raised = pcall(matrix.run, function()
    error(problem)
  end)
  T.equal(ok, false)
  T.equal(raised, problem)
  ok, raised = pcall(T.with_client, function(client)
    client:ping()
    error(problem)
  end)
  T.equal(ok, false)
  T.equal(raised, problem)
end)

T.test("dispatch and shutdown inside a task are refused", function()
  local client, told = new_client(), nil
  client:ping(function()
    told = T.raises("ping: needs a callback", client.ping, client)
  end)
  for _, start in ipairs { matrix.run, matrix.spawn } do
    start(function()
      T.raises("tasks%.lua:%d+: dispatch: not to be called inside a task", function()
        matrix.dispatch(1000)
      end)
      T.raises("tasks%.lua:%d+: shutdown: not to be called inside a task", function()
        matrix.shutdown(1000)
      end)
    end)
  end
  T.dispatch_until(function()
    return told
  end)
  client:close()
end)

T.test("run ends when a task that could go on already ends", function()
  local client = new_client()
  local answered = matrix.spawn(function()
    client:ping()
  end)
  local failing = matrix.spawn(function()
    answered:join()
    error("of another task", 0)
  end)
  local task = matrix.spawn(function()
    answered:join()
    return "end"
  end)
  -- It ends dispatch before the task behind it was gone on with.
  T.raises("^of another task$", T.dispatch_until, function() end)
  T.matches(tostring(failing), "failed")
  T.equal(matrix.run(function()
    return task:join()
  end), "end")
  client:close()
end)

T.test("run ends when something else dispatches what it waits for", function()
  local client, asked, answered = new_client(), false, false
  local hook, mask, count = debug.gethook()
  debug.sethook(function()
    if asked and not answered and debug.getinfo(2, "S").short_src:find "matrix/dispatch" then
      T.dispatch_until(function()
        return answered
      end)
    end
  end, "c")
  matrix.run(function()
    asked = true
    client:ping()
    answered = true
  end)
  debug.sethook(hook, mask, count)
  client:close()
end)

T.test("run inside run, or in a callback, is an error", function()
  matrix.run(function()
    T.raises("run: it is running already", matrix.run, print)
  end)
  local client, problem = new_client(), nil
  client:ping(function()
    problem = T.raises("run: not to be called inside a callback", matrix.run, print)
  end)
  T.dispatch_until(function()
    return problem
  end)
  client:close()
  T.raises("run: expected function, got nil", matrix.run)
  T.raises("run: expected function, got number", matrix.run, print, 1)
end)

T.test("spawn runs until the first wait, and on in dispatch", function()
  local client, steps = new_client(), {}
  local task = matrix.spawn(function(name)
    steps[1] = name
    steps[2] = client:ping({ payload = 2 }).payload
  end, "begun")
  T.same(steps, { "begun" })
  T.matches(tostring(task), "running")
  T.dispatch_until(function()
    return steps[2]
  end)
  T.same(steps, { "begun", 2 })
  T.matches(tostring(task), "done")
  client:close()
end)

T.test("an error in a spawned task comes out of dispatch", function()
  local client = new_client()
  matrix.spawn(function()
    client:ping()
    error("oops", 0)
  end)
  T.raises("^oops$", T.dispatch_until, function() end)
  T.raises("^at once$", matrix.spawn, function()
    error("at once", 0)
  end)
  client:close()
end)

T.test("join waits for results and errors of another task", function()
  T.with_client(function(client)
    local good = matrix.spawn(function()
      return client:ping({ payload = 7, delay_ms = 5 }).payload, "more"
    end)
    local bad = matrix.spawn(function()
      client:ping()
      error("bad", 0)
    end)
    local ok, problem = matrix.pcall(bad.join, bad)
    T.equal(ok, false)
    T.equal(problem, "bad")
    local value, more = good:join()
    T.equal(value, 7)
    T.equal(more, "more")
    T.equal((good:join()), 7)
  end)
  T.raises("join: only inside", function()
    local client = new_client()
    local task = matrix.spawn(function()
      client:ping { delay_ms = 60000 }
    end)
    client:close()
    task:join()
  end)
end)

T.test("many tasks wait for one another", function()
  T.with_client(function(client)
    local tasks, sum = {}, 0
    for index = 1, 100 do
      tasks[index] = matrix.spawn(function()
        return client:ping({ payload = index }).payload
      end)
    end
    for _, task in ipairs(tasks) do
      sum = sum + task:join()
    end
    T.equal(sum, 5050)
  end)
end)

T.test("a long chain of tasks that wait for one another ends", function()
  T.with_client(function(client)
    local last = matrix.spawn(function()
      return client:ping({ payload = "end" }).payload
    end)
    for _ = 1, T.greedy and 300 or 10000 do
      local before = last
      last = matrix.spawn(function()
        return (before:join())
      end)
    end
    T.equal((last:join()), "end")
  end)
end)

T.test("pcall in which calls wait works in every Lua", function()
  T.with_client(function(client)
    local ok, value = matrix.pcall(function(x)
      return client:ping({ payload = x }).payload
    end, 5)
    T.equal(ok, true)
    T.equal(value, 5)
    local failed, problem = matrix.pcall(function()
      client:ping()
      error("late", 0)
    end)
    T.equal(failed, false)
    T.equal(problem, "late")
  end)
  T.equal(select(2, matrix.pcall(error, "outside", 0)), "outside")
end)

T.test("a plain yield in a task is told", function()
  T.raises("coroutine.yield in a task", matrix.run, function()
    coroutine.yield(1)
  end)
end)

T.test("a coroutine of one's own inside a task is no task", function()
  T.with_client(function(client)
    T.raises("needs a callback outside matrix.run", coroutine.wrap(function()
      client:ping()
    end))
  end)
end)

-- Calls f where no Lua can yield.
local function inside_c(f)
  string.gsub("x", "x", f)
end

-- What is told there; 5.1 and 5.2 have words of their own.
local function cannot_wait(name)
  return coroutine.isyieldable and "tasks%.lua:%d+: " .. name .. ": cannot wait inside" or "yield across"
end

T.test("a call that cannot wait where it is made is refused, and is not made", function()
  T.with_client(function(client)
    local reports = 0
    T.raises(cannot_wait "ping", inside_c, function()
      client:ping { payload = "refused", progress_count = 1, on_progress = function()
        reports = reports + 1
      end }
    end)
    for index = 1, 3 do
      T.equal(client:ping({ payload = index, delay_ms = 5 }).payload, index)
    end
    T.equal(reports, 0)
  end)
end)

T.test("a plain pcall around a call gives its payload or refuses it", function()
  T.with_client(function(client)
    local ok, value = pcall(function()
      return client:ping({ payload = "first" }).payload
    end)
    if _VERSION == "Lua 5.1" and not jit then
      T.equal(ok, false)
      T.matches(value, "yield across")
    else
      T.equal(value, "first")
    end
    T.equal(client:ping({ payload = "second" }).payload, "second")
  end)
end)

T.test("a join that cannot wait where it is made is refused", function()
  T.with_client(function(client)
    local task = matrix.spawn(function()
      return client:ping({ payload = "of the task" }).payload
    end)
    T.raises(cannot_wait "join", inside_c, function()
      task:join()
    end)
    for index = 1, 3 do
      T.equal(client:ping({ payload = index }).payload, index)
    end
    T.equal((task:join()), "of the task")
  end)
end)

T.test("matrix.pcall works where nothing can wait, as long as nothing does", function()
  T.with_client(function(client)
    local results = {}
    inside_c(function()
      results = { matrix.pcall(function()
        error("told", 0)
      end) }
    end)
    T.same(results, { false, "told" })
    pcall(inside_c, function()
      matrix.pcall(function()
        client:ping { payload = "inside" }
      end)
    end)
    for index = 1, 3 do
      T.equal(client:ping({ payload = index }).payload, index)
    end
  end)
end)

T.test("an answer whose wait was ended by an error goes to no other wait", function()
  T.with_client(function(client)
    local hook, mask, count = debug.gethook()
    pcall(function()
      debug.sethook(function()
        if debug.getinfo(2, "f").func == coroutine.yield then
          error("interrupted", 0)
        end
      end, "c")
      client:ping { payload = "lost" }
    end)
    debug.sethook(hook, mask, count)
    for index = 1, 3 do
      T.equal(client:ping({ payload = index, delay_ms = 5 }).payload, index)
    end
  end)
end)

T.test("with_client closes the client however it ends", function()
  local kept
  local result = matrix.run(function()
    return matrix.with_client({ homeserver = T.nowhere }, function(client)
      kept = client
      return client:ping({ payload = "x" }).payload
    end)
  end)
  T.equal(result, "x")
  T.matches(tostring(kept), "closed")
  T.raises("^inside$", matrix.run, function()
    matrix.with_client({ homeserver = T.nowhere }, function(client)
      kept = client
      client:ping()
      error("inside", 0)
    end)
  end)
  T.matches(tostring(kept), "closed")
  T.raises("with_client: expected function", matrix.with_client, { homeserver = T.nowhere })
  for _, wrong in ipairs { {}, { home = "x" }, false } do
    T.raises("^[^:]*tasks%.lua:%d+: create_client: ", function()
      local _ = matrix.with_client(wrong, print)
    end)
    T.raises("^[^:]*tasks%.lua:%d+: create_client: ", function()
      local _ = matrix.create_client(wrong)
    end)
  end
end)

T.test("what waits when its client is closed gets E_CANCELLED", function()
  local client, code = new_client(), nil
  matrix.spawn(function()
    code = client:ping({ delay_ms = 60000 }).error.code
  end)
  client:close()
  T.dispatch_until(function()
    return code
  end)
  T.equal(code, "E_CANCELLED")
end)
