;; Typing, receipts, markers, reports and who is ignored, from Fennel. See tests/homeserver/lua/pair.lua.
(local T ...)
(local {: check} T.matrix)
(local pair (dofile :tests/homeserver/lua/pair.lua))

(T.test "typing and reading are told"
        (fn []
          (pair.run (fn [alice bob room-id]
                      (let [{: event_id} (check (bob:send-text room-id "read me"))
                            seen {}]
                        (bob:subscribe :typing {:room-id room-id} #(set seen.typing (. $1 :user_ids 1)))
                        (bob:subscribe :receipt {:room-id room-id :not-own true} #(set seen.read $1.event_id))
                        (check (alice:set-typing room-id true))
                        (check (alice:send-receipt room-id event_id {:thread-id :main}))
                        (pair.sync_until bob #(and seen.typing seen.read))
                        (T.equal seen.typing pair.alice_id)
                        (T.equal seen.read event_id)
                        (check (alice:set-typing room-id false))
                        (check (alice:set-read-markers room-id {:fully-read event_id}))
                        (T.equal (. (check (alice:fully-read room-id)) :event_id) event_id))))))

(T.test "reports, and who is ignored"
        (fn []
          (pair.run (fn [alice bob room-id]
                      (let [{: event_id} (check (bob:send-text room-id "rude"))]
                        (check (alice:report-event room-id event_id {:reason "rude"}))
                        (check (alice:report-room room-id))
                        (check (alice:report-user pair.bob_id))
                        (check (alice:ignore-user pair.bob_id))
                        (T.same (. (check (alice:ignored-users)) :user_ids) [pair.bob_id])
                        (T.equal (. (check (alice:unignore-user pair.bob_id)) :was_ignored) true))))))
