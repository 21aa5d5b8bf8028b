-- encryption.lua: two users talk encrypted. MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD, MATRIX_USER2, MATRIX_PASSWORD2.
local matrix = require "matrix"

local function env(name)
  return os.getenv(name) or error(name .. " is not set", 0)
end

local function equal(actual, expected)
  if actual ~= expected then
    error("expected " .. tostring(expected) .. ", got " .. tostring(actual), 2)
  end
end

local function log_in(suffix, more)
  local options = more or {}
  options.homeserver = env "MATRIX_HOMESERVER"
  local client = matrix.create_client(options)
  matrix.check(client:login_password(env("MATRIX_USER" .. suffix), env("MATRIX_PASSWORD" .. suffix)))
  return client
end

local function listen(client)
  local heard = {}
  client:subscribe("any", {}, function(event)
    heard[event.event_id] = event
  end)
  return function(event_id)
    for _ = 1, 60 do
      if heard[event_id] then
        return heard[event_id]
      end
      matrix.check(client:sync_once { timeout_ms = 1000 })
    end
    error("it did not come", 2)
  end
end

matrix.run(function()
  local alice, bob = log_in "", log_in "2"
  local hear = listen(bob)
  local own = matrix.check(bob:encryption_status())
  equal(own.user_id, matrix.check(bob:whoami()).user_id)
  equal(#own.ed25519, 43)
  equal(own.room_key_count, 0)

  local room_id = matrix.check(alice:create_room { invite = { own.user_id } }).room_id
  equal(matrix.check(alice:room_encryption(room_id)).is_encrypted, false)
  matrix.check(bob:join_room(room_id))
  matrix.check(alice:sync_once())
  matrix.check(alice:enable_encryption(room_id, { rotation_period_msgs = 7 }))
  local found = matrix.check(alice:room_encryption(room_id))
  equal(found.is_encrypted and found.is_supported, true)
  equal(found.algorithm, "m.megolm.v1.aes-sha2")
  equal(found.rotation_period_msgs, 7)

  equal(matrix.check(alice:share_room_key(room_id)).device_count, 1)
  local first = hear(matrix.check(alice:send_text(room_id, "in secret")).event_id)
  equal(first.body, "in secret")
  equal(first.raw.type, "m.room.encrypted")
  equal(first.encryption.is_decrypted, true)
  equal(first.encryption.shield_reason, "unsigned_device")

  -- Once the fingerprint was compared.
  local sender = first.encryption
  matrix.check(bob:set_device_trust(sender.sender, sender.sender_device_id, "verified"))
  local second = hear(matrix.check(alice:send_text(room_id, "again")).event_id)
  equal(second.encryption.is_verified, true)
  equal(second.encryption.session_id, sender.session_id)
  equal(matrix.check(alice:discard_room_key(room_id)).was_discarded, true)
  equal(matrix.check(alice:discard_room_key(room_id)).was_discarded, false)
  local third = hear(matrix.check(alice:send_text(room_id, "with a new key")).event_id)
  assert(third.encryption.session_id ~= sender.session_id)

  -- Who is blocked is told so, and gets no key.
  matrix.check(alice:set_device_trust(own.user_id, own.device_id, "blocked"))
  local lost = hear(matrix.check(alice:send_text(room_id, "not for bob")).event_id)
  equal(lost.type, "m.room.encrypted")
  equal(lost.encryption.code, "withheld")
  equal(lost.encryption.withheld_code, "m.blacklisted")

  -- History is decrypted too.
  local page = matrix.check(bob:history(room_id)).events
  local bodies = {}
  for _, event in ipairs(page) do
    bodies[event.body or ""] = true
  end
  assert(bodies["in secret"] and bodies["again"] and not bodies["not for bob"])

  equal(alice:import_nio_store("/nowhere.db").error.code, "E_INVALID_ARGUMENT")

  -- A client without encryption says so.
  local plain = log_in("", { encryption = false })
  equal(plain:send_text(room_id, "clear").error.code, "E_ENCRYPTION_UNSUPPORTED")
  equal(matrix.check(plain:room_encryption(room_id)).is_supported, false)
  equal(plain:encryption_status().error.code, "E_ENCRYPTION_UNSUPPORTED")
  plain:close()
  alice:close()
  bob:close()
end)
print "done"
