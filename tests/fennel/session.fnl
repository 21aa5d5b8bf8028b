;; Against a homeserver: log in, sync, list rooms, create, join, send, hear.
;; MATRIX_TEST_HOMESERVER, MATRIX_TEST_USER, MATRIX_TEST_PASSWORD, …USER2, …PASSWORD2, …USER_ID2.
(local T ...)
(local matrix (require :matrix))
(import-macros {: run : with-client : on-event} :matrix.macros)

(fn env [name]
  (or (os.getenv name) (error (.. name " is not set") 0)))

(fn options []
  {:homeserver (env :MATRIX_TEST_HOMESERVER) :ca-file (os.getenv :MATRIX_TEST_CA_FILE)})

(fn log-in [client suffix]
  (matrix.check (client:login-password (env (.. :MATRIX_TEST_USER suffix))
                                       (env (.. :MATRIX_TEST_PASSWORD suffix))
                                       {:device-display-name "tests/fennel"})))

(fn find-room [client id]
  (let [{: rooms} (matrix.check (client:rooms))]
    (accumulate [found nil _ room (ipairs rooms) &until found]
      (if (= room.room_id id) room))))

(T.test "log in, sync, list the rooms, log out"
        (fn []
          (run (with-client [client (options)]
                 (let [{: user_id} (log-in client "")
                       {: room_id} (matrix.check (client:create-room {:name "Fennel" :topic "herbs"}))
                       sync (matrix.check (client:sync-once))
                       room (find-room client room_id)]
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
          (run (with-client [alice (options)]
                 (with-client [bob (options)]
                   (log-in alice "")
                   (log-in bob :2)
                   (let [{: room_id} (matrix.check (alice:create-room {:invite [(env :MATRIX_TEST_USER_ID2)]}))
                         heard []]
                     (matrix.check (bob:sync-once))
                     (T.equal (. (find-room bob room_id) :membership) :invite)
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
          (run (with-client [client (options)]
                 (T.equal (case (client:login-password (env :MATRIX_TEST_USER) "wrong")
                            {:error {: code}} code)
                          :M_FORBIDDEN)))))
