;; The queue of sends, from Fennel. See tests/homeserver/lua/sending.lua.
(local T ...)
(local {: check &as matrix} T.matrix)
(local pair (dofile :tests/homeserver/lua/pair.lua))

(local store (.. (os.getenv :MATRIX_STORE) "/" (string.match (tostring {}) "[%xx]+$")))

(fn open [homeserver]
  (matrix.create-client {: homeserver
                         :user-id (os.getenv :MATRIX_USER_ID)
                         :access-token (os.getenv :MATRIX_TOKEN)
                         :store-path store}))

(fn wait [client holds]
  (var left 2000)
  (while (and (not (holds)) (> left 0))
    (check (client:ping {:delay-ms 10}))
    (set left (- left 1)))
  (T.equal (> left 0) true))

(fn count [client states]
  (client:subscribe :send
                    (fn [{: state}]
                      (tset states state (+ 1 (or (. states state) 0))))))

(T.test "what is queued without a network is sent by the next client"
        (fn []
          (matrix.run (fn []
                        (let [client (open "http://127.0.0.1:9")
                              states {}]
                          (count client states)
                          (client:send-text pair.room_id "from Fennel" {:txn-id :f1} #nil)
                          (client:send-text pair.room_id "never" {:txn-id :f2} #nil)
                          (wait client #(> (or states.queued 0) 2))
                          (let [[_ second] (. (check (client:sends)) :sends)]
                            (T.equal second.content.body "never")
                            (T.equal (. (check (client:cancel-send second.send_id)) :is_cancelled)
                                     true))
                          (check (client:retry-sends))
                          (client:close))))
          (pair.run (fn [_ bob room-id]
                      (let [heard []
                            _ (bob:subscribe :message {: room-id} #(table.insert heard $1.body))
                            client (open (os.getenv :MATRIX_HOMESERVER))
                            states {}]
                        (count client states)
                        (pair.sync_until bob #(. heard 1))
                        (T.same heard ["from Fennel"])
                        (wait client #states.sent)
                        (client:close))))))
