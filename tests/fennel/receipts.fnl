;; Typing, receipts, markers, reports and who is ignored, from Fennel.
(local T ...)
(local {: check} T.matrix)
(local people (require :people))

(T.test "typing and reading are told"
        #(people.in_room
           (fn [alice bob room-id]
             (let [{: event_id} (check (bob:send-text room-id "read me"))
                   seen {}]
               (bob:subscribe :typing {:room-id room-id} #(set seen.typing (. $1 :user_ids 1)))
               (bob:subscribe :receipt {:room-id room-id :not-own true} #(set seen.read $1.event_id))
               (check (alice:set-typing room-id true))
               (check (alice:send-receipt room-id event_id {:thread-id :main}))
               (people.sync_until bob #(and seen.typing seen.read))
               (T.equal seen.typing people.alice_id)
               (T.equal seen.read event_id)
               (check (alice:set-typing room-id false))
               (check (alice:set-read-markers room-id {:fully-read event_id}))
               (T.equal (. (check (alice:fully-read room-id)) :event_id) event_id)))))

(T.test "reports, and who is ignored"
        #(people.in_room
           (fn [alice bob room-id]
             (let [{: event_id} (check (bob:send-text room-id "rude"))]
               (check (alice:report-event room-id event_id {:reason "rude"}))
               (check (alice:report-room room-id))
               (check (alice:report-user people.bob_id))
               (check (alice:ignore-user people.bob_id))
               (T.same (. (check (alice:ignored-users)) :user_ids) [people.bob_id])
               (T.equal (. (check (alice:unignore-user people.bob_id)) :was_ignored) true)))))
