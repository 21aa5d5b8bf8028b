-- Two users talk encrypted.
local T = ...
local matrix, people = T.matrix, require "people"
local equal = T.equal

local function log_in(suffix, more)
  local client = matrix.create_client(people.options(more))
  people.log_in(client, suffix)
  return client
end

-- A room of both, encrypted.
local function make_room(alice, bob, bob_id)
  local room_id = matrix.check(alice:create_room { invite = { bob_id } }).room_id
  equal(matrix.check(alice:room_encryption(room_id)).is_encrypted, false)
  matrix.check(bob:join_room(room_id))
  matrix.check(alice:sync_once())
  matrix.check(alice:enable_encryption(room_id, { rotation_period_msgs = 7 }))
  local found = matrix.check(alice:room_encryption(room_id))
  equal(found.is_encrypted and found.is_supported, true)
  equal(found.algorithm, "m.megolm.v1.aes-sha2")
  equal(found.rotation_period_msgs, 7)
  return room_id
end

local function talk(alice, bob, room_id, hear)
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
end

-- Who is blocked is told so, and gets no key.
local function block(alice, room_id, own, hear)
  matrix.check(alice:set_device_trust(own.user_id, own.device_id, "blocked"))
  local lost = hear(matrix.check(alice:send_text(room_id, "not for bob")).event_id)
  equal(lost.type, "m.room.encrypted")
  equal(lost.encryption.code, "withheld")
  equal(lost.encryption.withheld_code, "m.blacklisted")
end

local function look_back(bob, room_id)
  local page = matrix.check(bob:history(room_id)).events
  local bodies = {}
  for _, event in ipairs(page) do
    bodies[event.body or ""] = true
  end
  assert(bodies["in secret"] and bodies["again"] and not bodies["not for bob"])
end

-- A client without encryption says so.
local function refuse_plain(room_id)
  local plain = log_in("", { encryption = false })
  equal(plain:send_text(room_id, "clear").error.code, "E_ENCRYPTION_UNSUPPORTED")
  equal(matrix.check(plain:room_encryption(room_id)).is_supported, false)
  equal(plain:encryption_status().error.code, "E_ENCRYPTION_UNSUPPORTED")
  plain:close()
end

T.test("two users talk encrypted", function()
  matrix.run(function()
    local alice, bob = log_in "", log_in "2"
    local hear = people.listener(bob, "any")
    local own = matrix.check(bob:encryption_status())
    equal(own.user_id, matrix.check(bob:whoami()).user_id)
    equal(#own.ed25519, 43)
    equal(own.room_key_count, 0)
    local room_id = make_room(alice, bob, own.user_id)
    talk(alice, bob, room_id, hear)
    block(alice, room_id, own, hear)
    look_back(bob, room_id)
    equal(alice:import_nio_store("/nowhere.db").error.code, "E_INVALID_ARGUMENT")
    refuse_plain(room_id)
    alice:close()
    bob:close()
  end)
end)
