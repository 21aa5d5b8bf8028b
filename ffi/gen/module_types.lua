-- What the module has beside the operations: written by hand, put in front of lua/types/matrix.gen.lua.

---What every callback of a request is given, and every call inside `matrix.run` gives back.
---@class matrix.Payload
---@field ok boolean whether it worked; the other fields are there only if so
---@field error? matrix.Error what went wrong, if it did not

---An operation in flight.
---@class matrix.Request
local Request = {}

---Asks for its end; it still calls back once. False when it has ended already.
---@return boolean
function Request:cancel() end

---A wish to be given events.
---@class matrix.Subscription
local Subscription = {}

---Ends it, also from inside its callback. False when it had ended already.
---@return boolean
function Subscription:unsubscribe() end

---Straight-line code started with `matrix.spawn`.
---@class matrix.Task
local Task = {}

---Waits in the current task for the end of this one; its results, or its error is raised.
---@return any ...
function Task:join() end

---Goes through a room's history, event by event.
---@class matrix.Cursor
---@field room_id string
---@field event? matrix.Event what `next` gave last
---@field error? matrix.Error why `next` gave nothing, unless it was the end
---@field next_batch? string token: where another cursor would go on after the page of the event
local Cursor = {}

---The next event; nil at the end, or with an error: then the same call tries again.
---@param callback? fun(event?: matrix.Event, error?: matrix.Error) without it the call waits, inside `matrix.run`
---@return matrix.Event? event
---@return matrix.Error? error
function Cursor:next(callback) end

---For `for event in cursor:events() do`; not in Lua 5.1, which cannot wait there.
---@return fun(): matrix.Event?
function Cursor:events() end

---Ends it; nothing comes any more.
function Cursor:close() end

---A question of the runtime, given to the function of `matrix.on_call`.
---@class matrix.Question: matrix.HostCall
local Question = {}

---Answers it. False when it was answered before or has timed out.
---@param answer? table
---@return boolean
function Question:respond(answer) end

---@class matrix.Version
---@field api_version integer
---@field version string
---@field python string the Python it carries
---@field yyjson string the JSON parser it carries

---One Matrix session. Its methods are the operations; Fennel may write them with hyphens.
---@class matrix.Client
local Client = {}

---Closes it; what it has in flight calls back with E_CANCELLED. False when it was closed before.
---@return boolean
function Client:close() end

---A cursor; nothing is asked before the first event is.
---@param room_id string the room
---@param options? matrix.OpenCursorOptions
---@return matrix.Cursor
function Client:cursor(room_id, options) end

---As `matrix.pollfd`.
---@return integer
function Client:pollfd() end

---As `matrix.events`.
---@return string
function Client:events() end

---As `matrix.timeout`.
---@return nil
function Client:timeout() end

---@class matrix
---@field null userdata JSON's null
---@field _VERSION string
local matrix = {}

---Makes a client; nothing is sent yet.
---@param options matrix.ClientOptions
---@return matrix.Client
function matrix.create_client(options) end

---Calls `f` with a client that is closed however `f` ends; gives back what `f` does.
---@param options matrix.ClientOptions
---@param f fun(client: matrix.Client): any
---@return any ...
function matrix.with_client(options, f) end

---Options for the context of this Lua state, before its first use.
---@param options? matrix.ContextOptions
function matrix.init(options) end

---Waits until the runtime has started: true, or nil and an error.
---@param timeout_ms? integer without limit when left out
---@return true? ready
---@return matrix.Error? error
function matrix.wait_ready(timeout_ms) end

---Runs the callbacks that are due. To be called before the host's own update.
---@param timeout_ms? integer how long to wait for the first; negative: without limit; default 0
---@param budget_us? integer stop when so many microseconds are used up; default 0: no limit
---@return integer count how many ran
function matrix.dispatch(timeout_ms, budget_us) end

---Runs functions as tasks side by side, dispatching until all have ended; the results of the first.
---@param f fun(): any
---@param ... fun()
---@return any ...
function matrix.run(f, ...) end

---Runs `f` as a task of its own until it waits, and from dispatch on from there.
---@param f fun(...)
---@param ... any
---@return matrix.Task
function matrix.spawn(f, ...) end

---pcall in which calls may wait, in every Lua.
---@param f fun(...): any
---@param ... any
---@return boolean ok
---@return any ...
function matrix.pcall(f, ...) end

---Ends the context; what is open calls back before this returns.
---@param timeout_ms? integer
function matrix.shutdown(timeout_ms) end

---Gives log records from `level` on to `callback`; without one they stop.
---@param level? matrix.LogLevel
---@param callback? fun(record: matrix.LogRecord)
function matrix.on_log(level, callback) end

---Gives questions of the runtime to `callback`, which answers with the table it returns, or later.
---@param callback? fun(question: matrix.Question): table?
function matrix.on_call(callback) end

---Answers a question. False when it was answered before or has timed out.
---@param question matrix.Question
---@param answer? table
---@return boolean
function matrix.respond(question, answer) end

---A callback that does nothing, for calls whose outcome does not matter.
function matrix.ignore() end

---The payload if it is ok; else its error is raised; its field `where` then says where.
---@generic T: matrix.Payload
---@param payload T
---@return T
function matrix.check(payload) end

---Marks a table as a list, which matters when it is empty.
---@generic T: table
---@param items? T
---@return T
function matrix.array(items) end

---@param value any
---@return boolean
function matrix.is_array(value) end

---The file descriptor that is readable while something is due.
---@return integer
function matrix.pollfd() end

---What to poll `pollfd` for: "r".
---@return string
function matrix.events() end

---When to dispatch by time alone: never.
---@return nil
function matrix.timeout() end

---What is loaded.
---@return matrix.Version
function matrix.version() end

---The Fennel compiler of the bundle, which finds the macros of matrix.
---@return table
function matrix.fennel() end
