-- Two users and a real homeserver: log in, sync, list rooms, create, join, talk, log out.
local T = ...
local matrix, people = T.matrix, require "people"
local find_room = people.room

-- f(client) with a client that is logged in as the first or second user.
local function with_user(suffix, f, encryption)
  return people.with_user(suffix, function(client, login)
    local ok, problem = matrix.pcall(f, client, login)
    matrix.check(client:logout())
    if not ok then
      error(problem, 0)
    end
  end, { encryption = encryption })
end

T.test("log in, ask who one is, log out", function()
  matrix.run(function()
    with_user("", function(client, login)
      T.matches(login.user_id, "^@.+:.+")
      local me = matrix.check(client:whoami())
      T.equal(me.user_id, login.user_id)
      T.equal(me.device_id, login.device_id)
      T.equal(client:login_password("a", "b").error.code, "E_ALREADY_LOGGED_IN")
    end)
  end)
end)

T.test("a wrong password is the homeserver's own error", function()
  matrix.run(function()
    matrix.with_client(people.options(), function(client)
      local payload = client:login_password(people.env "USER", "wrong")
      T.equal(payload.ok, false)
      T.equal(payload.error.code, "M_FORBIDDEN")
      T.equal(payload.error.http_status, 403)
      T.matches(tostring(payload.error), "^M_FORBIDDEN: .* %(HTTP 403%)$")
    end)
  end)
end)

T.test("a new room is listed with what it was given", function()
  matrix.run(function()
    with_user("", function(client)
      local room_id = matrix.check(client:create_room { name = "Caf\195\169", topic = "tea", invite = {} }).room_id
      matrix.check(client:sync_once())
      local room = find_room(client, room_id)
      T.equal(room.name, "Caf\195\169")
      T.equal(room.topic, "tea")
      T.equal(room.membership, "join")
      T.equal(room.joined_member_count, 1)
      T.equal(room.is_encrypted, false)
      T.equal(room.canonical_alias, nil)
      T.equal(room.avatar_url, nil)
    end)
  end)
end)

T.test("two users talk, each with a client of its own", function()
  matrix.run(function()
    with_user("", function(alice, me)
      with_user("2", function(bob, other)
        local room_id = matrix.check(alice:create_room { invite = { other.user_id }, preset = "private_chat" }).room_id
        matrix.check(bob:sync_once())
        T.equal(find_room(bob, room_id).membership, "invite")
        matrix.check(bob:join_room(room_id))
        matrix.check(bob:sync_once())
        local heard = {}
        local subscription = bob:subscribe("message", { room_id = room_id, not_own = true }, function(event)
          heard[#heard + 1] = event
        end)
        local sent = matrix.check(alice:send_text(room_id, "hello \226\152\149", { html = "<b>hello</b>" }))
        matrix.check(bob:send_text(room_id, "my own"))
        while #heard == 0 do
          matrix.check(bob:sync_once { timeout_ms = 5000 })
        end
        T.equal(#heard, 1)
        T.equal(heard[1].event_id, sent.event_id)
        T.equal(heard[1].body, "hello \226\152\149")
        T.equal(heard[1].sender, me.user_id)
        T.equal(heard[1].kind, "message")
        T.equal(heard[1].content.formatted_body, "<b>hello</b>")
        T.equal(heard[1].raw.type, "m.room.message")
        T.equal(heard[1].raw.content, heard[1].content)
        T.equal(heard[1].is_own, false)
        T.equal(type(heard[1].origin_server_ts), "number")
        T.equal(subscription:unsubscribe(), true)
        T.equal(find_room(bob, room_id).joined_member_count, 2)
      end)
    end)
  end)
end)

T.test("nothing is sent in clear to an encrypted room", function()
  matrix.run(function()
    with_user("", function(client)
      local room_id = matrix.check(client:create_room { encrypted = true }).room_id
      matrix.check(client:sync_once())
      T.equal(find_room(client, room_id).is_encrypted, true)
      T.equal(client:send_text(room_id, "secret").error.code, "E_ENCRYPTION_UNSUPPORTED")
    end, false)
  end)
end)

T.test("callbacks do the same as straight-line code", function()
  local client = matrix.create_client(people.options())
  local done, rooms
  client:login_password(people.env "USER", people.env "PASSWORD", function(login)
    matrix.check(login)
    client:sync_once({ full_state = true }, function(sync)
      T.equal(type(matrix.check(sync).next_batch), "string")
      client:rooms(function(payload)
        rooms = matrix.check(payload).rooms
        client:logout(function(payload)
          done = matrix.check(payload).ok
        end)
      end)
    end)
  end)
  T.dispatch_until(function()
    return done
  end)
  T.equal(matrix.is_array(rooms), true)
  T.equal(client:close(), true)
end)
