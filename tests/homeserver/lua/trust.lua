-- Identity, secret storage, key backup and key files. MATRIX_FOLDER is there to write to.
local T = ...
local matrix, people = T.matrix, require "people"
local check, env, refused, with_user = matrix.check, people.env, people.refused, people.with_user

local asked = 0
matrix.on_call(function(question)
  T.equal(question.name, "user_interactive_auth")
  asked = asked + 1
  return {
    auth = {
      type = "m.login.password",
      identifier = { type = "m.id.user", user = env "USER" },
      password = env "PASSWORD",
    },
  }
end)

local function listen(client)
  local heard = {}
  client:subscribe("any", function(event)
    if event.body then
      heard[event.body] = event
    end
  end)
  return function(body)
    people.sync_until(client, function()
      return heard[body]
    end)
    return heard[body]
  end
end

-- An identity, a backup of the key of one message, and secrets: what another device of the user finds.
local function set_up(owner)
  local password = { password = env "PASSWORD" }
  refused(owner:verify_own_device { recovery_key = "EsTc nonsense" }, "E_RECOVERY_KEY")
  local made = check(owner:bootstrap_cross_signing(password))
  T.equal(made.is_new, true)
  T.equal(check(owner:bootstrap_cross_signing()).is_new, false)
  local status = check(owner:cross_signing_status())
  T.equal(status.master_key, made.master_key)
  T.equal(status.is_device_signed, true)

  local version = check(owner:create_backup()).version
  local storage = check(owner:create_secret_storage { passphrase = "open sesame", name = "Bot" })
  T.equal(#storage.secrets, 4)
  check(owner:put_secret("org.example.token", "s3cret"))

  local room_id = check(owner:create_room {
    initial_state = {
      { type = "m.room.encryption", state_key = "", content = { algorithm = "m.megolm.v1.aes-sha2" } },
    },
  }).room_id
  check(owner:sync_once())
  check(owner:send_text(room_id, "before the bot"))
  T.equal(check(owner:upload_backup()).version, version)
  T.equal(check(owner:backup_state()).count, 1)
  return { room_id = room_id, version = version, recovery_key = storage.recovery_key, master_key = made.master_key }
end

local function be_a_bot(bot, it, owner, me, there)
  local wait = listen(bot)
  local done = check(bot:verify_own_device())
  T.equal(done.master_key, there.master_key)
  T.equal(done.backup_version, there.version)
  T.equal(#done.secrets, 4)
  local trust = check(owner:device_trust(me.user_id, it.device_id, { reload = true }))
  T.equal(trust.trust, "verified")
  T.equal(wait("before the bot").encryption.is_decrypted, true)
  T.equal(check(bot:get_secret "org.example.token").secret, "s3cret")
  refused(bot:get_secret "org.example.none", "M_NOT_FOUND")
  T.equal(check(bot:list_secrets()).is_open, true)
  local one = wait("before the bot").encryption.session_id
  T.equal(check(bot:restore_room_key(there.room_id, one)).is_imported, false)
  T.equal(check(bot:restore_backup { room_id = there.room_id }).failed_count, 0)
end

-- Without the recovery key, by what is known and what is shown.
local function trust_by_hand(third, it, owner, me, there)
  check(third:open_secret_storage { passphrase = "open sesame" })
  refused(third:enable_backup { recovery_key = there.recovery_key }, "E_RECOVERY_KEY")
  T.equal(check(third:enable_backup()).has_key, true)
  check(third:disable_backup())
  T.equal(check(third:backup_state()).is_enabled, false)
  -- By hand: each compares what the other shows.
  check(third:cross_signing_status())
  local seen = check(owner:device_trust(me.user_id, it.device_id, { reload = true }))
  T.equal(seen.trust, "unverified")
  check(owner:sign_device(it.device_id, { device_key = seen.device_key }))
  check(third:sign_user(me.user_id, { master_key = there.master_key }))
  local got
  third:request_secret("m.cross_signing.self_signing", function(payload)
    got = payload
  end)
  people.sync_until(third, function()
    check(owner:sync_once())
    return got
  end)
  T.equal(check(got).device_id, me.device_id)
end

local function move_keys(owner)
  local file = env "FOLDER" .. "/keys.txt"
  T.equal(check(owner:export_room_keys("sesame", { path = file, rounds = 1000 })).count, 1)
  with_user("", function(fourth)
    local wait = listen(fourth)
    check(fourth:sync_once())
    refused(fourth:import_room_keys("wrong", { path = file }), "E_KEY_FILE")
    T.equal(check(fourth:import_room_keys("sesame", { path = file })).imported_count, 1)
    T.equal(wait("before the bot").encryption.is_late, true)
    local text = check(fourth:export_room_keys("other", { rounds = 1 })).text
    T.equal(check(fourth:import_room_keys("other", { text = text })).imported_count, 0)
  end)
end

T.test("a bot is trusted by one call, and reads what was said before", function()
  matrix.run(function()
    with_user("", function(owner, me)
      local there = set_up(owner)
      with_user("", function(bot, it)
        be_a_bot(bot, it, owner, me, there)
      end, { recovery_key = there.recovery_key })
      with_user("", function(third, it)
        trust_by_hand(third, it, owner, me, there)
      end)
      move_keys(owner)
      check(owner:delete_backup { version = there.version })
      refused(owner:delete_backup(), "E_NO_BACKUP")
    end)
  end)
end)

T.test("users are vouched for, and their change is told", function()
  matrix.run(function()
    with_user("", function(alice)
      with_user("2", function(bob, he)
        local password = { password = env "PASSWORD2" }
        local first = check(bob:bootstrap_cross_signing(password)).master_key
        -- The identity is there already: the owner is asked before it is replaced.
        check(alice:reset_cross_signing())
        T.equal(asked, 1)
        refused(alice:sign_user(he.user_id, { master_key = ("A"):rep(43) }), "E_IDENTITY_MISMATCH")
        check(alice:sign_user(he.user_id, { master_key = first }))
        T.equal(check(alice:user_trust(he.user_id)).trust, "verified")
        local changes = {}
        alice:subscribe("identity", function(change)
          changes[#changes + 1] = change
        end)
        local second = check(bob:reset_cross_signing(password)).master_key
        T.equal(check(alice:user_trust(he.user_id, { reload = true })).trust, "violated")
        people.sync_until(alice, function()
          return #changes > 0
        end)
        T.equal(changes[1].master_key, second)
        T.equal(changes[1].trust, "violated")
        T.equal(check(alice:accept_identity(he.user_id)).trust, "unverified")
        refused(alice:accept_identity "@nobody:localhost", "E_NO_IDENTITY")
      end)
    end)
  end)
end)
