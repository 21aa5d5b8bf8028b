;; Log in, sync, list rooms, create, join, send, hear.
(local T ...)
(local matrix (require :matrix))
(local people (require :people))
(import-macros {: run : with-client : on-event} :matrix.macros)

(T.test "log in, sync, list the rooms, log out"
        (fn []
          (run (with-client [client (people.options)]
                 (let [{: user_id} (people.log_in client "")
                       {: room_id} (matrix.check (client:create-room {:name "Fennel" :topic "herbs"}))
                       sync (matrix.check (client:sync-once))
                       room (people.room client room_id)]
                   (T.matches user_id "^@")
                   (T.equal (type sync.next_batch) :string)
                   (T.equal room.name "Fennel")
                   (T.equal room.topic "herbs")
                   (T.equal room.membership :join)
                   (T.equal (. (matrix.check (client:whoami)) :user_id) user_id)
                   (matrix.check (client:logout))
                   (T.equal (case (client:whoami) {:error {: code}} code) :E_NOT_LOGGED_IN))))))

(T.test "an invitation is joined, and what is said is heard"
        (fn []
          (run (with-client [alice (people.options)]
                 (with-client [bob (people.options)]
                   (people.log_in alice "")
                   (people.log_in bob :2)
                   (let [{: room_id} (matrix.check (alice:create-room {:invite [people.bob_id]}))
                         heard []]
                     (matrix.check (bob:sync-once))
                     (T.equal (. (people.room bob room_id) :membership) :invite)
                     (matrix.check (bob:join-room room_id))
                     (matrix.check (bob:sync-once))
                     (on-event [event bob :message {:room-id room_id :not-own true}]
                       (table.insert heard event.body))
                     (matrix.check (alice:send-text room_id "from fennel"))
                     (while (= (length heard) 0)
                       (matrix.check (bob:sync-once {:timeout-ms 5000})))
                     (T.same heard ["from fennel"])
                     (matrix.check (bob:logout))
                     (matrix.check (alice:logout))))))))

(T.test "a wrong password is an error of the homeserver"
        (fn []
          (run (with-client [client (people.options)]
                 (T.equal (case (client:login-password (people.env :USER) "wrong")
                            {:error {: code}} code)
                          :M_FORBIDDEN)))))
