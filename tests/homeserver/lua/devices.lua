-- Everything about one's own devices.
local T = ...
local matrix, people = T.matrix, require "people"
local env, equal = people.env, T.equal

local questions = 0
local answer

matrix.on_call(function(question)
  equal(question.name, "user_interactive_auth")
  equal(question.payload.flows[1].stages[1], "m.login.password")
  questions = questions + 1
  return answer
end)

local function log_in(name, f)
  return people.with_user("", f, { device_display_name = name })
end

local function ids(client)
  local found = {}
  for _, device in ipairs(matrix.check(client:own_devices()).devices) do
    found[device.device_id] = device
  end
  return found
end

local function password_of(user)
  return { type = "m.login.password", identifier = { type = "m.id.user", user = user }, password = env "PASSWORD" }
end

local function look_at_one(first, me)
  local own = matrix.check(first:own_device()).device
  equal(own.device_id, me.device_id)
  equal(own.display_name, "first")
  equal(own.is_own, true)
  assert(own.last_seen_ts > 1600000000000, own.last_seen_ts)

  equal(own.trust, nil)
  local status = matrix.check(first:encryption_status())
  local listed = matrix.check(first:user_devices(me.user_id, { reload = true })).devices
  local found
  for _, device in ipairs(listed) do
    found = device.is_own and device or found
  end
  equal(found.device_id, me.device_id)
  equal(found.ed25519, status.ed25519)
  equal(found.curve25519, status.curve25519)
  equal(found.display_name, "first")
  equal(found.trust, "verified")
  equal(found.is_cross_signed, false)
  equal(matrix.check(first:own_device()).device.trust, "verified")
  equal(#matrix.check(first:user_devices("@nobody:localhost")).devices, 0)
end

local function rename_and_delete(first, me, second)
  local other = matrix.check(second:whoami()).device_id
  local listed = ids(first)
  equal(listed[other].display_name, "second")
  equal(listed[other].is_own, false)
  equal(listed[me.device_id].is_own, true)

  matrix.check(first:rename_device(other, "kitchen"))
  equal(matrix.check(second:own_device()).device.display_name, "kitchen")
  equal(matrix.check(first:own_device { device_id = other }).device.display_name, "kitchen")
  equal(first:own_device({ device_id = "NOSUCH" }).error.code, "M_NOT_FOUND")
  equal(first:rename_device("NOSUCH", "x").error.code, "M_NOT_FOUND")

  -- With the password nobody is asked; a wrong one is refused and deletes nothing.
  equal(first:delete_device(other, { password = "wrong" }).error.code, "M_FORBIDDEN")
  assert(ids(first)[other])
  equal(questions, 0)
  matrix.check(first:delete_device(other, { password = env "PASSWORD" }))
  equal(questions, 0)
  equal(ids(first)[other], nil)
  equal(second:whoami().error.code, "M_UNKNOWN_TOKEN")
end

-- Without the password the host answers.
local function delete_by_question(first, third)
  local other = matrix.check(third:whoami()).device_id
  answer = { auth = password_of(env "USER") }
  matrix.check(first:delete_devices({ other, "NOSUCH" }))
  equal(questions, 1)
  equal(ids(first)[other], nil)
  equal(first:delete_devices({}).error.code, "E_INVALID_ARGUMENT")
end

local function delete_all_others(first, me, fourth)
  local other = matrix.check(fourth:whoami()).device_id
  local deleted = matrix.check(first:delete_other_devices { password = env "PASSWORD" }).device_ids
  equal(#deleted >= 1, true)
  local left = ids(first)
  equal(left[other], nil)
  assert(left[me.device_id])
  equal(#matrix.check(first:delete_other_devices { password = env "PASSWORD" }).device_ids, 0)
end

T.test("a user's devices", function()
  matrix.run(function()
    log_in("first", function(first)
      local me = matrix.check(first:whoami())
      look_at_one(first, me)
      log_in("second", function(second)
        rename_and_delete(first, me, second)
      end)
      log_in("third", function(third)
        delete_by_question(first, third)
      end)
      log_in("fourth", function(fourth)
        delete_all_others(first, me, fourth)
      end)
      matrix.check(first:delete_device(me.device_id, { password = env "PASSWORD" }))
      equal(matrix.check(first:account()).is_logged_in, false)
      equal(first:own_devices().error.code, "E_NOT_LOGGED_IN")
    end)
  end)
end)
