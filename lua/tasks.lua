-- SPDX-License-Identifier: Apache-2.0
-- Straight-line code: coroutines in which a call without a callback waits for its payload.

local tasks = {}

local unpack = table.unpack or unpack
local running, yield = coroutine.running, coroutine.yield
local is_yieldable = coroutine.isyieldable -- 5.3 and later, LuaJIT

local by_coroutine = {} -- the tasks that have not ended
local WAIT = {} -- what a task yields while it waits for us
local PROBE = {} -- what it yields to see whether it can

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

-- The task in which a call may wait. Raises, at `level` as error() counts it, when there is none, or when Lua cannot
-- yield in it here: then nothing has been submitted yet.
function tasks.needed(name, level)
  local task = tasks.current()
  if not task then
    error(name .. ": needs a callback outside matrix.run and matrix.spawn (a coroutine of one's own is no task)", level + 1)
  end
  if not is_yieldable then
    yield(PROBE)
  elseif not is_yieldable() then
    error(name .. ": cannot wait inside a function of C, as string.gsub or table.sort; do it outside, or with a callback",
      level + 1)
  end
  return task
end

local resume

-- Coroutines whose wait is over, each followed by what it waited for. A queue, so that an error in one does not lose
-- the others.
local ready, first, last = {}, 1, 0
local draining = false

-- Goes on with them. Called while it runs it leaves them to the outer call, unless `anew`.
function tasks.drain(anew)
  if draining and not anew then
    return
  end
  draining = true
  while first <= last do
    local co, awaited = ready[first], ready[first + 1]
    ready[first], ready[first + 1] = nil, nil
    first = first + 2
    resume(co, awaited)
  end
  draining = false
end

local function finish(task, failed, results)
  by_coroutine[task.coroutine] = nil
  task.done, task.failed, task.results = true, failed, results
  for _, waiter in ipairs(task.waiters or {}) do
    ready[last + 1], ready[last + 2] = waiter, task
    last = last + 2
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
  elseif (...) == PROBE then
    return after(task, coroutine.resume(task.coroutine))
  elseif (...) ~= WAIT then
    finish(task, true, pack "coroutine.yield in a task: only calls of matrix may wait in it")
  end
end

resume = function(co, awaited, ...)
  local task = by_coroutine[co]
  if task and task.awaited == awaited then
    task.awaited = nil
    after(task, coroutine.resume(co, ...))
  end
end

-- Goes on with a coroutine that waits for this; an error in it is raised here unless someone joins it. One that waits
-- for something else stays: an error, as of a debug hook, may have ended the wait that this belongs to.
tasks.resume = resume

-- Waits inside the current task until resume() is called for `awaited`, a token or a task; what it is given comes back.
function tasks.wait(task, awaited)
  task.awaited = awaited
  return yield(WAIT)
end

local function start(f, watched, ...)
  local task = setmetatable({ watched = watched }, Task)
  task.coroutine = coroutine.create(f)
  by_coroutine[task.coroutine] = task
  resume(task.coroutine, nil, ...)
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
  if not task.done then
    local current = tasks.current()
    if not current or current == task then
      error("join: only inside matrix.run or matrix.spawn, and not of the task itself", 2)
    end
    tasks.needed("join", 2)
    task.waiters = task.waiters or {}
    table.insert(task.waiters, current.coroutine)
    task.watched = true
    tasks.wait(current, task)
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

-- Runs functions side by side; turn(is_over) is called until all have ended, and returns soon when is_over() holds. The
-- results of the first.
function tasks.run(turn, functions)
  local started = {}
  for index, f in ipairs(functions) do
    started[index] = start(f, true)
  end
  local function is_over()
    return all_done(started)
  end
  while not is_over() do
    turn(is_over)
  end
  return results_of(started[1])
end

-- matrix.pcall(f, …): pcall in which calls may wait, in every Lua.
function tasks.pcall(f, ...)
  local current = tasks.current()
  if not current or (is_yieldable and not is_yieldable()) then
    return pcall(f, ...)
  end
  local task = start(f, true, ...)
  if not task.done then
    task.waiters = { current.coroutine }
    tasks.wait(current, task)
  end
  if task.failed then
    return false, task.results[1]
  end
  return true, unpack(task.results, 1, task.results.n)
end

return tasks
