-- SPDX-License-Identifier: Apache-2.0
-- Straight-line code: coroutines in which a call without a callback waits for its payload.

local tasks = {}

local unpack = table.unpack or unpack
local running = coroutine.running

local by_coroutine = {} -- the tasks that have not ended
local WAIT = {} -- what a task yields while it waits for us

local Task = { __name = "matrix.task" }
Task.__index = Task

function Task.__tostring(task)
  return "matrix.task (" .. (not task.done and "running" or task.failed and "failed" or "done") .. ")"
end

local function pack(...)
  return { n = select("#", ...), ... }
end

-- The task this code runs in, if any.
function tasks.current()
  local co = running()
  return co and by_coroutine[co]
end

local resume

-- Coroutines whose wait is over. A queue, so that an error in one does not lose the others.
local ready, first, last = {}, 1, 0
local draining = false

-- Goes on with them. Called while it runs it leaves them to the outer call, unless `anew`.
function tasks.drain(anew)
  if draining and not anew then
    return
  end
  draining = true
  while first <= last do
    local co = ready[first]
    ready[first] = nil
    first = first + 1
    resume(co)
  end
  draining = false
end

local function finish(task, failed, results)
  by_coroutine[task.coroutine] = nil
  task.done, task.failed, task.results = true, failed, results
  for _, waiter in ipairs(task.waiters or {}) do
    last = last + 1
    ready[last] = waiter
  end
  task.waiters = nil
  if failed and not task.watched then
    draining = false
    error(results[1], 0)
  end
  tasks.drain()
end

local function after(task, ok, ...)
  if not ok then
    finish(task, true, pack(...))
  elseif coroutine.status(task.coroutine) == "dead" then
    finish(task, false, pack(...))
  elseif (...) ~= WAIT then
    finish(task, true, pack "coroutine.yield in a task: only calls of matrix may wait in it")
  end
end

resume = function(co, ...)
  local task = by_coroutine[co]
  if task then
    after(task, coroutine.resume(co, ...))
  end
end

-- Goes on with a coroutine that waits; an error in it is raised here unless someone joins it.
tasks.resume = resume

-- Waits inside the current task; what resume() is given comes back.
function tasks.wait()
  return coroutine.yield(WAIT)
end

local function start(f, watched, ...)
  local task = setmetatable({ watched = watched }, Task)
  task.coroutine = coroutine.create(f)
  by_coroutine[task.coroutine] = task
  resume(task.coroutine, ...)
  return task
end

local function results_of(task)
  if task.failed then
    error(task.results[1], 0)
  end
  return unpack(task.results, 1, task.results.n)
end

-- matrix.spawn(f, …): runs f(…) as a task of its own until it waits, and from dispatch on from there.
function tasks.spawn(f, ...)
  if type(f) ~= "function" then
    error("spawn: expected function, got " .. type(f), 2)
  end
  return start(f, false, ...)
end

-- task:join(): waits in the current task for the end of another; returns its results or raises its error.
function Task.join(task)
  task.watched = true
  if not task.done then
    local current = tasks.current()
    if not current or current == task then
      error("join: only inside matrix.run or matrix.spawn, and not of the task itself", 2)
    end
    task.waiters = task.waiters or {}
    table.insert(task.waiters, current.coroutine)
    while not task.done do
      tasks.wait()
    end
  end
  return results_of(task)
end

-- Whether all have ended. The error of one is raised at once; the others then go on by themselves.
local function all_done(started)
  local done = true
  for _, task in ipairs(started) do
    if task.failed then
      for _, other in ipairs(started) do
        other.watched = false
      end
      error(task.results[1], 0)
    end
    done = done and task.done
  end
  return done
end

-- Runs functions side by side; `turn` is called until all have ended. The results of the first.
function tasks.run(turn, functions)
  local started = {}
  for index, f in ipairs(functions) do
    started[index] = start(f, true)
  end
  while not all_done(started) do
    turn()
  end
  return results_of(started[1])
end

-- matrix.pcall(f, …): pcall in which calls may wait, in every Lua.
function tasks.pcall(f, ...)
  if not tasks.current() then
    return pcall(f, ...)
  end
  local task = start(f, true, ...)
  if not task.done then
    task.waiters = { running() }
    while not task.done do
      tasks.wait()
    end
  end
  if task.failed then
    return false, task.results[1]
  end
  return true, unpack(task.results, 1, task.results.n)
end

return tasks
