;; The queue of sends, from Fennel. See tests/homeserver/lua/sending.lua.
(local T ...)
(local {: check &as matrix} T.matrix)
(local people (require :people))

(local store (.. (people.env :STORE) "/" (string.match (tostring {}) "[%xx]+$")))

(fn open [homeserver]
  (let [options (people.session "" {:store-path store})]
    (set options.homeserver homeserver)
    (matrix.create-client options)))

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
                          (client:send-text people.room_id "from Fennel" {:txn-id :f1} #nil)
                          (client:send-text people.room_id "never" {:txn-id :f2} #nil)
                          (people.wait_until client #(> (or states.queued 0) 2))
                          (let [[_ second] (. (check (client:sends)) :sends)]
                            (T.equal second.content.body "never")
                            (T.equal (. (check (client:cancel-send second.send_id)) :is_cancelled)
                                     true))
                          (check (client:retry-sends))
                          (client:close))))
          (people.in_room (fn [_ bob room-id]
                            (let [heard []
                                  _ (bob:subscribe :message {: room-id} #(table.insert heard $1.body))
                                  client (open (people.env :HOMESERVER))
                                  states {}]
                              (count client states)
                              (people.sync_until bob #(. heard 1))
                              (T.same heard ["from Fennel"])
                              (people.wait_until client #states.sent)
                              (client:close))))))

(T.test "an echo is there at once, and the next message goes whatever became of the one before"
        #(people.in_room
           (fn [alice _ room-id]
             (let [events []
                   states {}]
               (check (alice:sync-once))
               (count alice states)
               (alice:subscribe :message {: room-id :local-echo true}
                                #(table.insert events [$1.is_local $1.txn_id]))
               (alice:send-text room-id (string.rep "x" 65000) {:txn-id :large} #nil)
               (check (alice:send-text room-id "echo" {:txn-id :mine}))
               (T.same events [[true :large] [true :mine]])
               (people.sync_until alice #(. events 3))
               (T.same (. events 3) [nil :mine])
               (T.same states {:queued 2 :sending 2 :sent 1 :failed 1})))))
