;; The Fennel layer without a homeserver: names, macros, payloads.
(local T ...)
(local matrix (require :matrix))
(import-macros {: run : with-client : on-event} :matrix.macros)

(T.test "kebab-case names are the functions of Lua"
        (fn []
          (T.equal matrix.create-client matrix.create_client)
          (let [client (matrix.create-client {:homeserver T.nowhere})]
            (T.equal client.send-text client.send_text)
            (T.raises "unknown option 'home%-server'; known are .*homeserver"
                      matrix.create-client {:home-server T.nowhere})
            (client:close))))

(T.test "run gives what its body gives"
        (fn []
          (T.equal (run (+ 1 1)) 2)
          (T.equal (select "#" (run (values 1 2 3))) 3)))

(T.test "with-client closes its client, also after an error"
        (fn []
          (var kept nil)
          (T.equal (run (with-client [client {:homeserver T.nowhere}]
                          (set kept client)
                          (. (client:ping {:payload "x"}) :payload)))
                   "x")
          (T.matches (tostring kept) "closed")
          (T.raises "^boom$"
                    #(run (with-client [client {:homeserver T.nowhere}]
                            (set kept client)
                            (client:ping)
                            (error "boom" 0))))
          (T.matches (tostring kept) "closed")))

(T.test "payloads are for case"
        (fn []
          (run (with-client [client {:homeserver T.nowhere}]
                 (T.equal (case (client:ping {:payload [1 2]})
                            {:ok true :payload [a b]} (+ a b)
                            {: error} error.code)
                          3)
                 (T.equal (case (client:whoami)
                            {:ok true} :in
                            {:error {: code}} code)
                          :E_NOT_LOGGED_IN)))))

(T.test "on-event subscribes"
        (fn []
          (let [client (matrix.create-client {:homeserver T.nowhere})
                all (on-event [event client :message] (print event.body))
                some (on-event [event client :message {:not-own true}] (print event.body))]
            (T.equal (all:unsubscribe) true)
            (T.equal (some:unsubscribe) true)
            (client:close))))

(T.test "macros tell at compile time what is missing"
        (fn []
          (let [fennel (matrix.fennel)
                head "(import-macros {: with-client : on-event} :matrix.macros)"]
            (T.raises "expected a name for the client" fennel.eval (.. head "(with-client [1 {}] nil)"))
            (T.raises "expected options" fennel.eval (.. head "(with-client [c] nil)"))
            (T.raises "a client and a kind" fennel.eval (.. head "(on-event [e c] nil)")))))

(T.test "callbacks are functions"
        (fn []
          (let [client (matrix.create-client {:homeserver T.nowhere})
                seen []]
            (client:ping {:payload 1} #(table.insert seen $.payload))
            (client:ping {:payload 2} (fn [{: payload}] (table.insert seen payload)))
            (T.dispatch_until #(= (length seen) 2))
            (client:close))))

(T.test "the compiler is one, and finds the macros"
        (fn []
          (T.equal (matrix.fennel) (require :fennel))
          (T.equal (matrix.fennel) (matrix.fennel))))
