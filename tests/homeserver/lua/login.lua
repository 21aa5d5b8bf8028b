-- Logs in the way that MATRIX_WAY names and uses what it got. Prints "open URL" where a browser is needed.
local T = ...
local matrix, people = T.matrix, require "people"
local env, equal = people.env, T.equal

local function with_client(options, f)
  return matrix.with_client(people.options(options), f)
end

local function me(client)
  return matrix.check(client:whoami()).user_id
end

local questions = {}

function questions.open_url(payload)
  print("open " .. payload.url)
  io.stdout:flush()
  return {}
end

matrix.on_call(function(question)
  return questions[question.name](question.payload)
end)

local ways = {}

function ways.flows()
  with_client({}, function(client)
    local flows = matrix.check(client:login_flows())
    local types = table.concat(flows.types, " ")
    assert(types:find("m.login.password", 1, true) and types:find("m.login.token", 1, true), types)
    equal(flows.has_oauth, false)
    equal(#flows.flows, #flows.types)
  end)
end

function ways.register()
  local user, token = env "USER", env "TOKEN"
  with_client({ device_display_name = "from Lua" }, function(client)
    -- Without a token the host is asked for it.
    local asked
    questions.user_interactive_auth = function(payload)
      asked = payload
      return { auth = { type = "m.login.registration_token", token = token } }
    end
    local options = { user = user, password = "secret-word" }
    local made = matrix.check(client:register_account(options))
    equal(asked.flows[1].stages[1], "m.login.registration_token")
    equal(me(client), made.user_id)
    equal(client:register_account().error.code, "E_ALREADY_LOGGED_IN")
    matrix.check(client:logout())
  end)
  with_client({}, function(client)
    questions.user_interactive_auth = nil
    equal(client:register_account({ user = user, token = "used" }).error.code, "M_USER_IN_USE")
    equal(client:register_account({ user = user .. "2", token = "void" }).error.code, "M_UNAUTHORIZED")
    matrix.check(client:login_password(user, "secret-word"))
  end)
end

function ways.register_with_token()
  with_client({}, function(client)
    local options = { user = env "USER", password = "secret-word", token = env "TOKEN" }
    local made = matrix.check(client:register_account(options))
    equal(me(client), made.user_id)
  end)
end

function ways.token()
  with_client({ device_id = "LUATOKEN" }, function(client)
    local token = env "TOKEN"
    local login = matrix.check(client:login_token(token))
    equal(login.device_id, "LUATOKEN")
    equal(me(client), env "USER_ID")
    matrix.check(client:logout())
    equal(client:login_token(token).error.code, "M_FORBIDDEN")
  end)
end

function ways.email()
  with_client({}, function(client)
    local login = client:login_password(env "USER", env "PASSWORD", { identifier = "email" })
    equal(matrix.check(login).user_id, env "USER_ID")
  end)
end

function ways.session()
  local text
  with_client({}, function(client)
    equal(client:export_session().error.code, "E_NOT_LOGGED_IN")
    people.log_in(client, "")
    assert(matrix.check(client:account()).expires_in_ms > 0)
    assert(matrix.check(client:refresh_session()).expires_in_ms > 0)
    text = matrix.check(client:export_session()).session
  end)
  -- The homeserver refuses this access token; the refresh token helps.
  local void = text:gsub('"access_token":"[^"]*"', '"access_token":"void"')
  with_client({ session = void }, function(client)
    local requests = {}
    for number = 1, 10 do
      client:whoami(function(payload)
        requests[number] = matrix.check(payload).user_id
      end)
    end
    equal(me(client), env "USER_ID")
    local account = matrix.check(client:account())
    equal(account.user_id, env "USER_ID")
    equal(account.has_refresh_token, true)
    matrix.check(client:logout { everywhere = true })
    equal(#requests, 10)
  end)
  with_client({ session = text }, function(client)
    equal(client:whoami().error.code, "M_UNKNOWN_TOKEN")
    equal(matrix.check(client:account()).is_logged_in, false)
    matrix.check(client:logout { local_only = true })
    equal(matrix.check(client:account()).user_id, nil)
  end)
  with_client({ session = (text:gsub('"version":1', '"version":2')) }, function(client)
    local problem = client:account().error
    equal(problem.code, "E_INVALID_ARGUMENT")
    assert(problem.message:find("newer", 1, true))
  end)
end

function ways.sealed()
  local options = { store_path = env "STORE", store_passphrase = "correct horse" }
  local login
  with_client(options, function(client)
    login = people.log_in(client, "")
  end)
  with_client(options, function(client)
    equal(me(client), login.user_id)
  end)
  with_client({ store_path = options.store_path, store_passphrase = "wrong" }, function(client)
    equal(client:account().error.code, "E_STORE_PASSPHRASE")
  end)
end

function ways.sso()
  with_client({}, function(client)
    local url = matrix.check(client:sso_url("app:done", { identity_provider = "a/b" })).url
    equal(url, env "HOMESERVER" .. "/_matrix/client/v3/login/sso/redirect/a%2Fb?redirectUrl=app%3Adone")
    local login = matrix.check(client:login_sso { identity_provider = "ours", timeout_ms = 20000 })
    equal(login.user_id, env "USER_ID")
    equal(me(client), login.user_id)
    matrix.check(client:logout())
  end)
end

function ways.oauth()
  with_client({}, function(client)
    local login = matrix.check(client:login_oauth { client_uri = "https://example.org", timeout_ms = 20000 })
    equal(me(client), login.user_id)
    matrix.check(client:logout())
    local shown
    login = client:login_oauth_device {
      client_id = "known",
      device_id = "ABCDEFGHIJ",
      on_progress = function(progress)
        shown = progress
      end,
    }
    equal(matrix.check(login).device_id, "ABCDEFGHIJ")
    equal(shown.user_code, "WDJB-MJHT")
    matrix.check(client:refresh_session())
    matrix.check(client:logout())
  end)
end

function ways.discovery()
  with_client({ proxy = env "PROXY" }, function(client)
    people.log_in(client, "")
    equal(matrix.check(client:account()).homeserver, env "BASE_URL")
    equal(me(client), env "USER_ID")
    matrix.check(client:logout())
  end)
end

T.test(env "WAY", function()
  matrix.run(ways[env "WAY"])
end)
