-- How operations are called, refused and answered.
local T = ...
local matrix = T.matrix

local function new_client()
  return matrix.create_client { homeserver = T.nowhere }
end

-- The error must name this file, at the line of the call.
local here = string.gsub(debug.getinfo(1, "S").short_src, "%W", "%%%0")

local function refused(pattern, f, ...)
  T.raises("^" .. here .. ":%d+: " .. pattern, f, ...)
end

T.test("a callback gets one payload table, in dispatch", function()
  local client, calls = new_client(), {}
  local request = client:ping({ payload = { 1, 2 } }, function(...)
    calls[#calls + 1] = { n = select("#", ...), ... }
  end)
  T.matches(tostring(request), "^matrix.request")
  T.equal(#calls, 0)
  T.dispatch_until(function()
    return #calls > 0
  end)
  matrix.dispatch(20)
  T.equal(#calls, 1)
  T.equal(calls[1].n, 1)
  T.same(calls[1][1], { ok = true, payload = { 1, 2 } })
  client:close()
end)

T.test("options may be left out before the callback, or be nil", function()
  local client, count = new_client(), 0
  local function callback(payload)
    T.equal(payload.ok, true)
    count = count + 1
  end
  client:ping(callback)
  client:ping(nil, callback)
  client:ping({}, callback)
  client:ping(callback, nil)
  T.dispatch_until(function()
    return count == 4
  end)
  client:close()
end)

T.test("kebab-case names are the same functions", function()
  local client = new_client()
  T.equal(matrix["create-client"], matrix.create_client)
  T.equal(client["send-text"], client.send_text)
  T.equal(client["no-such-thing"], nil)
  T.equal(matrix["no-such-thing"], nil)
  T.equal(client[1], nil)
  client:close()
  T.matches(tostring(matrix["create-client"] { ["homeserver"] = T.nowhere }), "^matrix.client")
end)

T.test("kebab-case option names are taken too", function()
  T.with_client(function(client)
    T.equal(client:ping { ["delay-ms"] = 1, payload = 1 }.payload, 1)
  end)
end)

T.test("wrong arguments are raised at the caller's line by name", function()
  local client = new_client()
  refused("send_text: room_id: expected string, got nil", function()
    client:send_text()
  end)
  refused("send_text: body: expected string, got function", function()
    client:send_text("!a:b", matrix.ignore)
  end)
  refused("send_text: body: expected string, got number", function()
    client:send_text("!a:b", 5, matrix.ignore)
  end)
  refused("send_text: thread_id: expected string, got boolean", function()
    client:send_text("!a:b", "text", { thread_id = true }, matrix.ignore)
  end)
  refused("send_text: options: expected table, got string", function()
    client:send_text("!a:b", "text", "html", matrix.ignore)
  end)
  refused("send_text: callback: expected function, got table", function()
    client:send_text("!a:b", "text", {}, {})
  end)
  refused("send_text: too many arguments", function()
    client:send_text("!a:b", "text", {}, matrix.ignore, 1)
  end)
  client:close()
end)

T.test("options are checked for type, range and name", function()
  local client = new_client()
  refused("ping: delay_ms: expected integer, got string", function()
    client:ping({ delay_ms = "1" }, matrix.ignore)
  end)
  refused("ping: delay_ms: expected integer, got the number 1.5", function()
    client:ping({ delay_ms = 1.5 }, matrix.ignore)
  end)
  refused("ping: delay_ms: must be at least 0, got %-1", function()
    client:ping({ delay_ms = -1 }, matrix.ignore)
  end)
  refused("rooms: membership: expected one of join, invite, leave, ban, knock, got 'joined'", function()
    client:rooms({ membership = "joined" }, matrix.ignore)
  end)
  refused("create_room: invite: expected a list, got string", function()
    client:create_room({ invite = "@a:b" }, matrix.ignore)
  end)
  refused("create_room: invite%[2%]: expected string, got number", function()
    client:create_room({ invite = { "@a:b", 2 } }, matrix.ignore)
  end)
  refused("send_text: unknown option 'htlm'; known are .*html, thread_id", function()
    client:send_text("!a:b", "text", { htlm = "" }, matrix.ignore)
  end)
  refused("whoami: unknown option 'x'; ", function()
    client:whoami({ x = 1 }, matrix.ignore)
  end)
  refused("whoami: options are given by name, not by number", function()
    client:whoami({ 1 }, matrix.ignore)
  end)
  client:close()
end)

T.test("create_client is checked likewise", function()
  refused("create_client: options: expected table, got nil", function()
    matrix.create_client()
  end)
  refused("create_client: homeserver: is missing", function()
    matrix.create_client {}
  end)
  refused("create_client: connect_timeout_ms: must be at least 1, got 0", function()
    matrix.create_client { homeserver = T.nowhere, connect_timeout_ms = 0 }
  end)
  refused("create_client: homeserver: expected string, got number", function()
    matrix.create_client { homeserver = 1 }
  end)
  refused("create_client: unknown option 'homesever'; known are .*homeserver", function()
    matrix.create_client { homesever = T.nowhere }
  end)
end)

T.test("a method called with a dot says so", function()
  local client = new_client()
  refused("send_text: call it with a colon", function()
    client.send_text("!a:b", "text", matrix.ignore)
  end)
  refused("subscribe: call it with a colon", function()
    client.subscribe("message", matrix.ignore)
  end)
  client:close()
end)

T.test("without a callback outside run a call raises", function()
  local client = new_client()
  refused("ping: needs a callback outside matrix.run", function()
    client:ping()
  end)
  refused("ping: needs a callback outside matrix.run", coroutine.wrap(function()
    client:ping()
  end))
  client:close()
end)

T.test("an error is a payload with code and message, and prints", function()
  T.with_client(function(client)
    local payload = client:whoami()
    T.equal(payload.ok, false)
    T.equal(payload.error.code, "E_NOT_LOGGED_IN")
    T.equal(type(payload.error.message), "string")
    T.matches(tostring(payload.error), "^E_NOT_LOGGED_IN: ")
    T.equal(T.raises("E_NOT_LOGGED_IN", matrix.check, payload), payload.error)
    T.equal("not sent: " .. payload.error, "not sent: " .. tostring(payload.error))
    T.equal(payload.error .. "!", tostring(payload.error) .. "!")
  end)
end)

T.test("an error that check raises says which check", function()
  T.with_client(function(client)
    local payload = client:whoami()
    local function checked()
      local answer = matrix.check(payload)
      return answer
    end
    local problem = T.raises("E_NOT_LOGGED_IN", checked)
    T.matches(problem.where, "calls%.lua:%d+$")
    T.matches(tostring(problem), "calls%.lua:%d+: E_NOT_LOGGED_IN: ")
  end)
end)

T.test("a server that is not there is an error of the payload", function()
  T.with_client(function(client)
    local payload = client:login_password("bot", "secret")
    T.equal(payload.ok, false)
    T.equal(payload.error.code, "E_CONNECTION")
  end)
end)

T.test("check gives an ok payload back and refuses other things", function()
  local payload = { ok = true }
  T.equal(matrix.check(payload), payload)
  T.raises("check: expected a payload, got nil", matrix.check, nil)
end)

T.test("cancel ends a request once", function()
  local client, payloads = new_client(), {}
  local request = client:ping({ delay_ms = 60000 }, function(payload)
    payloads[#payloads + 1] = payload
  end)
  T.equal(request:cancel(), true)
  T.dispatch_until(function()
    return #payloads > 0
  end)
  T.equal(payloads[1].error.code, "E_CANCELLED")
  T.equal(request:cancel(), false)
  matrix.dispatch(20)
  T.equal(#payloads, 1)
  client:close()
end)

T.test("closing a client cancels what it has in flight, and is said afterwards", function()
  local client, payload = new_client(), nil
  client:ping({ delay_ms = 60000 }, function(answer)
    payload = answer
  end)
  T.equal(client:close(), true)
  T.equal(client:close(), false)
  T.matches(tostring(client), "^matrix.client %(closed%)")
  T.dispatch_until(function()
    return payload
  end)
  T.equal(payload.error.code, "E_CANCELLED")
  refused("ping: the client is closed", function()
    client:ping(matrix.ignore)
  end)
  refused("subscribe: the client is closed", function()
    client:subscribe("message", matrix.ignore)
  end)
end)

T.test("progress reports come before the result, to on_progress", function()
  T.with_client(function(client)
    local seen = {}
    local payload = client:ping {
      progress_count = 3,
      delay_ms = 50,
      on_progress = function(progress)
        seen[#seen + 1] = progress
      end,
    }
    T.equal(payload.ok, true)
    T.equal(#seen > 0, true)
    T.equal(seen[#seen].total, 3)
    T.equal(seen[#seen].done, 3)
  end)
end)

T.test("on_progress is for operations that have progress, and a function", function()
  local client = new_client()
  refused("whoami: unknown option 'on_progress'", function()
    client:whoami({ on_progress = print }, matrix.ignore)
  end)
  refused("ping: on_progress: expected function, got number", function()
    client:ping({ on_progress = 1 }, matrix.ignore)
  end)
  client:close()
end)

T.test("many requests at once each call back once", function()
  local client, seen, count = new_client(), {}, 0
  for index = 1, 500 do
    client:ping({ payload = index }, function(payload)
      T.equal(seen[payload.payload], nil)
      seen[payload.payload] = true
      count = count + 1
    end)
  end
  T.dispatch_until(function()
    return count == 500
  end)
  client:close()
end)
