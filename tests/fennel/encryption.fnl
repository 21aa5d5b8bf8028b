;; Against a homeserver: encryption. MATRIX_TEST_HOMESERVER, MATRIX_TEST_USER, MATRIX_TEST_PASSWORD.
(local T ...)
(local matrix (require :matrix))
(import-macros {: run : with-client} :matrix.macros)

(fn env [name]
  (or (os.getenv name) (error (.. name " is not set") 0)))

(fn options []
  {:homeserver (env :MATRIX_TEST_HOMESERVER) :ca-file (os.getenv :MATRIX_TEST_CA_FILE)})

(fn log-in [client]
  (. (matrix.check (client:login-password (env :MATRIX_TEST_USER) (env :MATRIX_TEST_PASSWORD))) :user_id))

(T.test "a user's devices read what each of them says in an encrypted room"
        (fn []
          (run (with-client [first (options)]
                 (with-client [second (options)]
                   (let [user-id (log-in first)
                         _ (log-in second)
                         status (matrix.check (second:encryption-status))
                         room-id (. (matrix.check (first:create-room {:encrypted true})) :room_id)
                         heard {}]
                     (T.equal (. (matrix.check (first:room-encryption room-id)) :is_supported) true)
                     (second:subscribe :message {} (fn [event] (tset heard event.event_id event)))
                     (matrix.check (second:sync-once))
                     (matrix.check (first:set-device-trust user-id status.device_id :verified))
                     (T.equal (. (matrix.check (first:share-room-key room-id)) :withheld_count) 0)
                     (let [event-id (. (matrix.check (first:send-text room-id "to myself")) :event_id)]
                       (while (not (. heard event-id))
                         (matrix.check (second:sync-once {:timeout-ms 1000})))
                       (T.equal (. heard event-id :body) "to myself"))
                     (T.equal (. (matrix.check (first:discard-room-key room-id)) :was_discarded) true)))))))
