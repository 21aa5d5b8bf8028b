-- Two users verify each other in a room, then two devices of one user between themselves; one user scans the other's
-- code; and it is declined, cancelled and found to be a mismatch.
local T = ...
local matrix, people = T.matrix, require "people"
local env, equal = people.env, T.equal

-- A client that remembers what it hears of verifications.
local function log_in(suffix, f)
  return people.with_user(suffix, function(client, login)
    local side = { client = client, user_id = login.user_id, device_id = login.device_id, heard = {} }
    client:subscribe("verification", function(event)
      side.heard[#side.heard + 1] = event
    end)
    matrix.check(client:sync_loop_start { timeout_ms = 10000 })
    local result = f(side)
    matrix.check(client:sync_loop_stop())
    return result
  end)
end

-- Waits until a side has heard that a verification, or any incoming one, is in a state; forgets what came before.
local function hear(side, state, id)
  local found
  people.wait_until(side.client, function()
    while #side.heard > 0 and not found do
      local event = table.remove(side.heard, 1)
      equal(event.kind, "verification")
      if event.state == state and (id == nil or event.verification_id == id) then
        found = event
      elseif event.state == "cancelled" then
        error(side.user_id .. ": cancelled, " .. event.cancel_code .. ": " .. tostring(event.cancel_reason), 2)
      end
    end
    return found
  end, side.user_id .. ": " .. state)
  return found
end

-- From the request to the emoji on both sides; `starter` begins.
local function compare(asker, asked, options, starter)
  local made = matrix.check(asker.client:request_verification(asked.user_id, options)).verification
  local id = made.verification_id
  equal(made.state, "requested")
  equal(made.is_outgoing, true)
  local request = hear(asked, "requested", id)
  equal(request.user_id, asker.user_id)
  equal(request.device_id, asker.device_id)
  equal(request.is_outgoing, false)
  equal(request.methods[1], "m.sas.v1")
  equal(request.room_id, options.room_id)
  matrix.check(asked.client:accept_verification(id))
  hear(asker, "ready", id)
  matrix.check(starter.client:start_sas(id))
  local first, second = hear(asker, "comparing", id), hear(asked, "comparing", id)
  equal(#first.emoji, 7)
  equal(#first.decimals, 3)
  for index, shown in ipairs(first.emoji) do
    equal(shown.emoji, second.emoji[index].emoji)
    equal(shown.description, second.emoji[index].description)
  end
  for index, number in ipairs(first.decimals) do
    equal(number, second.decimals[index])
  end
  return id
end

local function verify(asker, asked, options, starter)
  local id = compare(asker, asked, options, starter)
  matrix.check(asker.client:confirm_verification(id))
  matrix.check(asked.client:confirm_verification(id))
  hear(asker, "done", id)
  hear(asked, "done", id)
end

local function trust(side, user_id)
  return matrix.check(side.client:user_trust(user_id)).trust
end

local function device_trust(side, other)
  return matrix.check(side.client:device_trust(other.user_id, other.device_id)).trust
end

local function users(alice, bob)
  local made = { invite = { bob.user_id }, preset = "private_chat" }
  local room_id = matrix.check(alice.client:create_room(made)).room_id
  matrix.check(bob.client:join_room(room_id))
  matrix.check(alice.client:bootstrap_cross_signing { password = env "PASSWORD" })
  matrix.check(bob.client:bootstrap_cross_signing { password = env "PASSWORD2" })
  equal(trust(alice, bob.user_id), "unverified")
  verify(alice, bob, { room_id = room_id }, bob)
  equal(trust(alice, bob.user_id), "verified")
  equal(trust(bob, alice.user_id), "verified")

  -- Once more by a code that Bob scans on Alice's screen.
  local methods = { "m.sas.v1", "m.qr_code.show.v1", "m.qr_code.scan.v1" }
  local id = matrix.check(bob.client:request_verification(alice.user_id, { room_id = room_id, methods = methods }))
  id = id.verification.verification_id
  hear(alice, "requested", id)
  matrix.check(alice.client:accept_verification(id, { methods = methods }))
  hear(bob, "ready", id)
  local data = matrix.check(alice.client:show_qr(id)).data
  equal(data:sub(1, 6), "MATRIX")
  matrix.check(bob.client:scan_qr(id, data))
  hear(alice, "comparing", id)
  matrix.check(alice.client:confirm_verification(id))
  hear(alice, "done", id)
  hear(bob, "done", id)
  return room_id
end

local function refusals(alice, bob, room_id)
  local options = { room_id = room_id }
  local id = compare(alice, bob, options, alice)
  matrix.check(bob.client:mismatch_verification(id))
  equal(hear(bob, "cancelled", id).is_cancelled_by_other, false)
  local ended = hear(alice, "cancelled", id)
  equal(ended.cancel_code, "m.mismatched_sas")
  equal(ended.is_cancelled_by_other, true)
  equal(alice.client:confirm_verification(id).error.code, "E_INVALID_ARGUMENT")

  id = matrix.check(bob.client:request_verification(alice.user_id, options)).verification.verification_id
  hear(alice, "requested", id)
  matrix.check(alice.client:cancel_verification(id, { reason = "not now" }))
  equal(hear(alice, "cancelled", id).cancel_code, "m.user")
  equal(hear(bob, "cancelled", id).cancel_reason, "not now")

  equal(alice.client:start_sas("none").error.code, "E_INVALID_ARGUMENT")
  equal(alice.client:request_verification("@nobody:localhost").error.code, "E_INVALID_ARGUMENT")
  equal(alice.client:accept_verification(id, { methods = { "m.magic" } }).error.code, "E_INVALID_ARGUMENT")
  local listed = matrix.check(alice.client:verifications()).verifications
  equal(#listed, 4)
end

-- A new device of Alice's; her first one vouches for it.
local function devices(alice)
  log_in("", function(second)
    verify(second, alice, { device_id = alice.device_id }, second)
    equal(device_trust(alice, second), "verified")
    local listed = matrix.check(alice.client:own_devices()).devices
    for _, device in ipairs(listed) do
      equal(device.trust, (device.is_own or device.device_id == second.device_id) and "verified" or nil)
    end
    equal(trust(second, alice.user_id), "verified")
    equal(device_trust(second, alice), "verified")
    -- And one that asks all the others.
    verify(alice, second, {}, alice)
  end)
end

T.test("users and devices verify each other", function()
  matrix.run(function()
    log_in("", function(alice)
      log_in("2", function(bob)
        local room_id = users(alice, bob)
        refusals(alice, bob, room_id)
      end)
      devices(alice)
    end)
  end)
end)
