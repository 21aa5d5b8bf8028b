-- What comes unasked: log records, questions to the host, subscriptions.
local T = ...
local matrix = T.matrix

local function new_client()
  return matrix.create_client { homeserver = T.nowhere }
end

T.test("log records come to on_log", function()
  local client, records = new_client(), {}
  matrix.on_log("trace", function(record)
    records[#records + 1] = record
  end)
  client:login_password("bot", "secret", matrix.ignore)
  T.dispatch_until(function()
    return #records > 0
  end)
  for _, record in ipairs(records) do
    T.equal(type(record.level), "string")
    T.equal(type(record.message), "string")
    T.equal(string.find(record.message, "secret", 1, true), nil)
  end
  matrix.on_log()
  client:close()
  T.raises("on_log: level: expected one of trace, debug", matrix.on_log, "loud", print)
  T.raises("on_log: callback: expected function, got string", matrix.on_log, "info", "x")
end)

T.test("callbacks that make log records do not keep dispatch for ever", function()
  local client, count = new_client(), 0
  local request = client:ping(function()
    count = count + 1
  end)
  T.dispatch_until(function()
    return count > 0
  end)
  matrix.on_log("error", function()
    count = count + 1
    if count < 10000 then
      request:cancel() -- it has ended: that is an error, and told as one
    end
  end)
  request:cancel()
  T.dispatch_until(function()
    return count > 1
  end)
  T.equal(count <= 2000, true, "ran " .. count)
  matrix.on_log()
  client:close()
end)

T.test("what on_call returns is the answer", function()
  local asked
  matrix.on_call(function(question)
    asked = question
    return { secret = 42 }
  end)
  T.with_client(function(client)
    T.same(client:ping({ host_call = "what" }).answer, { secret = 42 })
  end)
  T.equal(asked.name, "what")
  T.equal(asked:respond {}, false)
  matrix.on_call(nil)
end)

T.test("a question can be answered later", function()
  local question
  matrix.on_call(function(asked)
    question = asked
  end)
  local client, answer = new_client(), nil
  client:ping({ host_call = "later" }, function(payload)
    answer = payload.answer
  end)
  T.dispatch_until(function()
    return question
  end)
  T.equal(answer, nil)
  T.raises("respond: answer: expected table", matrix.respond, question, 1)
  T.raises("respond: expected what on_call was given", matrix.respond, {})
  T.equal(matrix.respond(question, { late = true }), true)
  T.equal(question:respond { late = true }, false)
  T.dispatch_until(function()
    return answer
  end)
  T.same(answer, { late = true })
  matrix.on_call()
  client:close()
end)

T.test("a question nobody hears is E_NOT_HANDLED", function()
  T.with_client(function(client)
    T.equal(client:ping({ host_call = "anyone" }).error.code, "E_NOT_HANDLED")
  end)
end)

T.test("an answer too late is told", function()
  local question
  matrix.on_call(function(asked)
    question = asked
  end)
  T.with_client(function(client)
    T.equal(client:ping({ host_call = "slow", host_call_timeout_ms = 20 }).error.code, "E_TIMEOUT")
  end)
  T.equal(question:respond {}, false)
  matrix.on_call()
end)

T.test("subscribe checks its arguments", function()
  local client = new_client()
  T.raises("subscribe: kind: expected string, got nil", client.subscribe, client)
  T.raises("subscribe: kind: unknown 'massage'; known are .*message", client.subscribe, client, "massage", print)
  T.raises("subscribe: filter: expected table, got number", client.subscribe, client, "message", 1, print)
  T.raises("subscribe: callback: expected function, got nil", client.subscribe, client, "message", {})
  T.raises("subscribe: room_id: expected string, got number", client.subscribe, client, "message",
    { room_id = 1 }, print)
  T.raises("subscribe: unknown option 'room'; known are .*room_id", client.subscribe, client, "message",
    { room = "" }, print)
  client:close()
end)

T.test("a subscription ends once", function()
  local client = new_client()
  local subscription = client:subscribe("message", { not_own = true }, print)
  T.matches(tostring(subscription), "^matrix.subscription: ")
  T.equal(subscription:unsubscribe(), true)
  T.equal(subscription:unsubscribe(), false)
  T.matches(tostring(subscription), "closed")
  local other = client:subscribe("message", print)
  client:close()
  T.equal(other:unsubscribe(), false)
end)
