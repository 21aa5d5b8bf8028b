-- Everything that can be sent into a room, from Lua: alice sends, bob reads.
local T = ...
local matrix = T.matrix
local people = require "people"
local check = matrix.check

T.test("texts, notices and emotes, in clear and in HTML", function()
  people.in_room(function(alice, bob, room_id)
    local hear = people.listener(bob, "message", room_id)
    local function sent(payload)
      return hear(check(payload).event_id)
    end
    local text = sent(alice:send_text(room_id, "plain"))
    T.equal(text.msgtype, "m.text")
    T.equal(text.body, "plain")
    T.same(text.content, { msgtype = "m.text", body = "plain", ["m.mentions"] = {} })
    local html = sent(alice:send_text(room_id, "bold", { html = "<b onclick='x()'>bold</b><script>x()</script>" }))
    T.equal(html.content.format, "org.matrix.custom.html")
    T.equal(html.content.formatted_body, "<b>bold</b>")
    T.equal(sent(alice:send_notice(room_id, "told")).msgtype, "m.notice")
    local emote = sent(alice:send_emote(room_id, "waves", { html = "<i>waves</i>" }))
    T.equal(emote.msgtype, "m.emote")
    T.equal(emote.content.formatted_body, "<i>waves</i>")
  end)
end)

T.test("Markdown", function()
  people.in_room(function(alice, bob, room_id)
    local hear = people.listener(bob, "message", room_id)
    local list = hear(check(alice:send_markdown(room_id, "# Tea\n\n- *green*\n- <b>black</b>", { kind = "notice" })).event_id)
    T.equal(list.msgtype, "m.notice")
    T.equal(list.body, "# Tea\n\n- *green*\n- <b>black</b>")
    T.equal(
      list.content.formatted_body,
      "<h1>Tea</h1>\n<ul>\n<li><em>green</em></li>\n<li>&lt;b&gt;black&lt;/b&gt;</li>\n</ul>"
    )
    local plain = hear(check(alice:send_markdown(room_id, "nothing \\*special\\*")).event_id)
    T.equal(plain.body, "nothing \\*special\\*")
    T.equal(plain.content.formatted_body, "nothing *special*")
  end)
end)

T.test("a place, a sticker, an event of one's own type", function()
  people.in_room(function(alice, bob, room_id)
    local hear = people.listener(bob, "any", room_id)
    local place = hear(check(alice:send_location(room_id, "Big Ben", "geo:51.5008,0.1247")).event_id)
    T.equal(place.msgtype, "m.location")
    T.equal(place.content.geo_uri, "geo:51.5008,0.1247")
    local info = { w = 64, h = 64, mimetype = "image/png" }
    local sticker = hear(check(alice:send_sticker(room_id, "a cat", "mxc://localhost/cat", { info = info })).event_id)
    T.equal(sticker.type, "m.sticker")
    T.same(sticker.content.info, info)
    local bare = hear(check(alice:send_sticker(room_id, "a cat", "mxc://localhost/cat")).event_id)
    T.same(bare.content.info, {})
    local move = hear(check(alice:send_event(room_id, "org.example.move", { x = 3, path = matrix.array {} })).event_id)
    T.equal(move.type, "org.example.move")
    T.equal(move.content.x, 3)
    T.equal(matrix.is_array(move.content.path), true)
    T.equal(alice:send_location(room_id, "x", "51,0").error.code, "E_INVALID_ARGUMENT")
    for _, url in ipairs { "https://example.org/x", "mxc://", "mxc://localhost", "mxc://localhost/", "mxc:///cat" } do
      people.refused(alice:send_sticker(room_id, "x", url), "E_INVALID_ARGUMENT", "^url: must be an mxc URI")
    end
    T.equal(alice:send_event(room_id, "org.example.move", matrix.array { 1 }).error.code, "E_INVALID_ARGUMENT")
    -- A homeserver fails at some of these, or takes them to no effect.
    people.refused(alice:send_event(room_id, "m.room.member", {}), "E_INVALID_ARGUMENT", "^type: .* send_state_event")
    people.refused(alice:send_event(room_id, "m.room.name", { name = "x" }), "E_INVALID_ARGUMENT", "send_state_event")
    people.refused(alice:send_event(room_id, "m.room.redaction", {}), "E_INVALID_ARGUMENT", "^type: redact")
    people.refused(alice:send_event(room_id, "", {}), "E_INVALID_ARGUMENT", "^type: must not be empty")
    people.refused(alice:send_state_event(room_id, "m.room.create", {}), "E_INVALID_ARGUMENT", "^type: ")
  end)
end)

T.test("replies and threads", function()
  people.in_room(function(alice, bob, room_id)
    local hear = people.listener(alice, "message", room_id)
    check(alice:sync_once())
    local root = check(alice:send_text(room_id, "who wants tea?")).event_id
    local reply = hear(check(bob:send_reply(room_id, root, "I do")).event_id)
    T.equal(reply.reply_to, root)
    T.equal(reply.thread_id, nil)
    T.same(reply.content["m.mentions"], { user_ids = { people.alice_id } })
    T.same(reply.content["m.relates_to"], { ["m.in_reply_to"] = { event_id = root } })
    local threaded = hear(check(bob:send_notice(room_id, "in a thread", { thread_id = root })).event_id)
    T.equal(threaded.thread_id, root)
    T.equal(threaded.reply_to, nil)
    T.same(threaded.content["m.relates_to"], {
      rel_type = "m.thread",
      event_id = root,
      is_falling_back = true,
      ["m.in_reply_to"] = { event_id = root },
    })
    -- An answer stays in the thread; who is answered may be left alone.
    local options = { mention_sender = false, markdown = true, kind = "emote" }
    local inside = hear(check(alice:send_reply(room_id, threaded.event_id, "*nods*", options)).event_id)
    T.equal(inside.thread_id, root)
    T.equal(inside.reply_to, threaded.event_id)
    T.equal(inside.msgtype, "m.emote")
    T.same(inside.content["m.mentions"], {})
    T.equal(inside.content["m.relates_to"].is_falling_back, false)
    local both = hear(check(alice:send_text(room_id, "x", { thread_id = root, reply_to = threaded.event_id })).event_id)
    T.equal(both.reply_to, threaded.event_id)
    -- An edit says nothing of the thread: its message does.
    local edit = check(bob:edit_message(room_id, threaded.event_id, "still in a thread")).event_id
    local answer = hear(check(alice:send_reply(room_id, edit, "to the edit")).event_id)
    T.equal(answer.thread_id, root)
    T.equal(answer.reply_to, threaded.event_id)
    T.same(answer.content["m.mentions"], { user_ids = { people.bob_id } })
    T.equal(alice:send_reply(room_id, "$nowhere", "x").error.code, "M_NOT_FOUND")
  end)
end)

T.test("for clients without threads, what is in one answers what was said there last", function()
  people.in_room(function(alice, bob, room_id)
    local hear = people.listener(alice, "any", room_id)
    local root = check(alice:send_text(room_id, "root")).event_id
    local function answered(payload)
      local relation = hear(check(payload).event_id).content["m.relates_to"]
      T.equal(relation.rel_type, "m.thread")
      T.equal(relation.event_id, root)
      T.equal(relation.is_falling_back, true)
      return relation["m.in_reply_to"].event_id
    end
    local first = alice:send_text(room_id, "one", { thread_id = root })
    T.equal(answered(first), root)
    local second = alice:send_emote(room_id, "two", { thread_id = root })
    T.equal(answered(second), first.event_id)
    -- Another client's count as soon as a sync has brought them.
    local theirs = check(bob:send_text(room_id, "three", { thread_id = root })).event_id
    hear(theirs)
    local fourth = alice:send_markdown(room_id, "*four*", { thread_id = root })
    T.equal(answered(fourth), theirs)
    local fifth = check(alice:send_reply(room_id, theirs, "five")).event_id
    T.equal(answered(alice:start_poll(room_id, "Six?", { "yes" }, { thread_id = root })), fifth)
    -- Neither what is in another thread, nor what is said about those here.
    local other = check(bob:send_text(room_id, "another root")).event_id
    check(bob:send_text(room_id, "elsewhere", { thread_id = other }))
    check(bob:send_reaction(room_id, root, "+1"))
    local edit = check(bob:edit_message(room_id, theirs, "3")).event_id
    hear(edit)
    local last = answered(alice:send_location(room_id, "seven", "geo:1,2", { thread_id = root }))
    T.equal(check(alice:fetch_event(room_id, last)).event.type, "org.matrix.msc3381.poll.start")
  end)
end)

T.test("mentions, and whom an edit notifies", function()
  people.in_room(function(alice, bob, room_id)
    local hear = people.listener(bob, "message", room_id)
    local first = check(alice:send_text(room_id, "hello", { mentions = { people.bob_id, people.bob_id } })).event_id
    T.same(hear(first).content["m.mentions"], { user_ids = { people.bob_id } })
    local carol = "@carol:localhost"
    local edit = hear(check(alice:edit_message(room_id, first, "hello both", {
      mentions = { people.bob_id, carol },
      mentions_room = true,
    })).event_id)
    T.equal(edit.replaces, first)
    T.equal(edit.body, "* hello both")
    T.equal(edit.new_body, "hello both")
    T.same(edit.content["m.mentions"], { user_ids = { carol }, room = true })
    local all = edit.content["m.new_content"]["m.mentions"]
    T.same(all, { user_ids = { people.bob_id, carol }, room = true })
    -- What an edit mentioned counts for the next one.
    local options = { mentions = { carol }, mentions_room = true, html = "<b>again</b>" }
    local again = hear(check(alice:edit_message(room_id, edit.event_id, "again", options)).event_id)
    T.equal(again.replaces, first)
    T.same(again.content["m.mentions"], {})
    T.equal(again.content.formatted_body, "* <b>again</b>")
    T.equal(again.content["m.new_content"].formatted_body, "<b>again</b>")
    T.equal(alice:send_text(room_id, "x", { mentions = { "bob" } }).error.code, "E_INVALID_ARGUMENT")
  end)
end)

T.test("edits of what another client sent, and what cannot be edited", function()
  people.in_room(function(alice, bob, room_id)
    local hear = people.listener(bob, "message", room_id)
    local picture = { msgtype = "m.image", body = "cat.png", url = "mxc://localhost/cat", info = { w = 1 } }
    local sent = check(alice:send_event(room_id, "m.room.message", picture)).event_id
    local caption = hear(check(alice:edit_message(room_id, sent, "my **cat**", { markdown = true })).event_id)
    local new = caption.content["m.new_content"]
    T.equal(new.url, picture.url)
    T.equal(new.filename, "cat.png")
    T.equal(new.body, "my **cat**")
    T.equal(new.formatted_body, "my <strong>cat</strong>")
    T.equal(alice:edit_message(room_id, sent, "x", { kind = "notice" }).error.code, "E_INVALID_ARGUMENT")
    local raw = { msgtype = "m.notice", body = "raw", ["m.mentions"] = { user_ids = { people.bob_id } } }
    local notice = check(alice:send_event(room_id, "m.room.message", raw)).event_id
    local edit = hear(check(alice:edit_message(room_id, notice, "done", { mentions = { people.bob_id } })).event_id)
    T.equal(edit.msgtype, "m.notice")
    T.same(edit.content["m.mentions"], {})
    T.matches(bob:edit_message(room_id, sent, "mine").error.message, "own messages")
    local reaction = check(alice:send_reaction(room_id, sent, "+1")).event_id
    T.matches(alice:edit_message(room_id, reaction, "x").error.message, "only messages")
    local text = check(alice:send_text(room_id, "taken back")).event_id
    for _, gone in ipairs { sent, text } do
      check(alice:redact(room_id, gone))
      T.matches(alice:edit_message(room_id, gone, "x").error.message, "redacted")
    end
    T.matches(alice:edit_message(room_id, notice, "x", { html = "x", markdown = true }).error.message, "^html")
  end)
end)

T.test("reactions and redactions", function()
  people.in_room(function(alice, bob, room_id)
    local hear = people.listener(bob, "any", room_id)
    local target = check(alice:send_text(room_id, "react!")).event_id
    local reaction = hear(check(alice:send_reaction(room_id, target, "\240\159\145\141")).event_id)
    T.equal(reaction.relates_to, target)
    T.equal(reaction.reaction_key, "\240\159\145\141")
    T.equal(alice:send_reaction(room_id, target, "\240\159\145\141").error.code, "M_DUPLICATE_ANNOTATION")
    T.equal(alice:send_reaction(room_id, target, "").error.code, "E_INVALID_ARGUMENT")
    local taken = hear(check(alice:redact(room_id, reaction.event_id, { reason = "by mistake" })).event_id)
    T.equal(taken.redacts, reaction.event_id)
    T.equal(taken.content.reason, "by mistake")
    check(alice:send_reaction(room_id, target, "\240\159\145\141"))
    T.equal(bob:redact(room_id, target).error.code, "M_FORBIDDEN")
  end)
end)

T.test("what is no event id is refused before it is sent", function()
  people.in_room(function(alice, _, room_id)
    -- The last one is a local echo's.
    for _, id in ipairs { "", "$", "foo", "..", "~txn" } do
      local function refused(payload, name)
        people.refused(payload, "E_INVALID_ARGUMENT", "^" .. name .. ": must be an event id")
      end
      refused(alice:redact(room_id, id), "event_id")
      refused(alice:send_reaction(room_id, id, "+1"), "event_id")
      refused(alice:send_text(room_id, "x", { reply_to = id }), "reply_to")
      refused(alice:send_sticker(room_id, "x", "mxc://localhost/cat", { thread_id = id }), "thread_id")
      refused(alice:start_poll(room_id, "Tea?", { "yes" }, { thread_id = id }), "thread_id")
    end
  end)
end)

T.test("one transaction id, one event", function()
  people.in_room(function(alice, _, room_id)
    local first = check(alice:send_text(room_id, "once", { txn_id = "lua-once" })).event_id
    T.equal(check(alice:send_text(room_id, "once", { txn_id = "lua-once" })).event_id, first)
  end)
end)
