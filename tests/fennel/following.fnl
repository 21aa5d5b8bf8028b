;; What following.lua does, in Fennel: Bob follows what Alice does, and knows it all after a restart.
;; MATRIX_STORE is for Bob.
(local T ...)
(local matrix (require :matrix))
(local people (require :people))
(import-macros {: run : with-client : on-event} :matrix.macros)

(local (alice-id bob-id) (values people.alice_id people.bob_id))
(local kinds [:message :state :membership :redaction :reaction :invite :room :receipt :typing :presence
              :account_data :room_account_data :sync :sync_state :any :to_device])
(local heard {})

(fn find [events fits]
  (accumulate [found nil _ event (ipairs events) &until found]
    (if (fits event) event)))

;; Waits for an event of a kind that fits, whenever it came.
(fn hear [client kind fits]
  (people.wait_until client #(find (. heard kind) fits) kind)
  (find (. heard kind) fits))

(fn listen [client]
  (each [_ kind (ipairs kinds)]
    (tset heard kind [])
    (on-event [event client kind] (table.insert (. heard kind) event))))

(fn in-room [room-id]
  #(= $1.room_id room-id))

(fn sync-by-hand [bob]
  (let [{: filter_id} (matrix.check (bob:upload-filter {:room {:timeline {:limit 5}}}))]
    (assert (. (matrix.check (bob:sync-once {:filter filter_id :set-presence :unavailable}))
               :next_batch))
    (T.equal (people.code (bob:sync-once {:filter :987654})) :M_INVALID_PARAM)
    (let [{: next_batch} (matrix.check (bob:sync-once {:full-state true :timeout-ms 10}))]
      (T.equal (. (matrix.check (bob:account)) :next_batch) next_batch))))

(fn start-loop [bob]
  (matrix.check (bob:sync-loop-start {:timeout-ms 20000 :backoff-min-ms 100}))
  (T.equal (people.code (bob:sync-loop-start)) :E_ALREADY_RUNNING)
  (T.equal (people.code (bob:sync-once)) :E_ALREADY_RUNNING)
  (hear bob :sync_state #(= $1.state :syncing)))

(fn stop-loop [bob]
  (T.equal (. (matrix.check (bob:sync-loop-stop)) :was_running) true)
  (T.equal (. (matrix.check (bob:sync-loop-stop)) :was_running) false)
  (hear bob :sync_state #(= $1.state :stopped))
  (T.equal (length heard.sync_state) 2)
  (assert (> (length heard.sync) 0))
  (assert (> (length heard.any) 0)))

(fn talk [alice bob room-id]
  (T.equal (. (hear bob :invite #(= $1.room.room_id room-id)) :sender) alice-id)
  (matrix.check (bob:join-room room-id))
  (hear bob :membership #(and (= $1.state_key bob-id) (= $1.membership :join)))
  (var once 0)
  (var own nil)
  (set own (on-event [_ bob :message {: room-id :sender alice-id :not-own true}]
             (set once (+ once 1))
             (own:unsubscribe)))
  (let [said (. (matrix.check (alice:send-text room-id "hello")) :event_id)
        message (hear bob :message #(= $1.event_id said))
        reply (. (matrix.check (alice:send-reply room-id said "again")) :event_id)]
    (T.equal message.body "hello")
    (T.equal message.is_historic false)
    (T.equal message.raw.content.body "hello")
    (T.equal (. (hear bob :message #(= $1.event_id reply)) :reply_to) said)
    (T.equal once 1)
    (let [{: event_id} (matrix.check (alice:send-reaction room-id said "+"))]
      (T.equal (. (hear bob :reaction (in-room room-id)) :relates_to) said)
      (matrix.check (alice:redact room-id event_id))
      (T.equal (. (hear bob :redaction (in-room room-id)) :redacts) event_id))
    (matrix.check (alice:send-receipt room-id said))
    (hear bob :receipt (in-room room-id))
    (matrix.check (alice:set-typing room-id true))
    (T.same (. (hear bob :typing (in-room room-id)) :user_ids) [alice-id])))

(fn change [alice bob room-id]
  (matrix.check (alice:set-room-topic room-id "leaves"))
  (let [{: changed} (hear bob :room #(and (= $1.room_id room-id) (= $1.room.topic "leaves")))]
    (assert (> (length changed) 0)))
  (matrix.check (alice:send-state-event room-id :org.example {:n 1} {:state-key :key}))
  (T.equal (. (hear bob :state #(= $1.type :org.example)) :state_key) :key)
  (matrix.check (bob:set-account-data :org.example {:n 2}))
  (matrix.check (bob:set-account-data :org.example {:n 3} {: room-id}))
  (T.equal (. (hear bob :account_data #(= $1.type :org.example)) :content :n) 2)
  (T.equal (. (hear bob :room_account_data (in-room room-id)) :content :n) 3))

(fn may [client room-id what]
  (. (matrix.check (client:may room-id what)) :allowed))

(fn know [client room-id]
  (let [found (matrix.check (client:state-event room-id :org.example {:state-key :key}))
        {: state} (matrix.check (client:state-events room-id {:type :m.room.topic}))
        levels (matrix.check (client:power-levels room-id))]
    (T.equal found.content.n 1)
    (T.equal found.event.sender alice-id)
    (T.equal (length state) 1)
    (T.equal (. state 1 :content :topic) "leaves")
    (T.equal levels.ban 50)
    (T.equal levels.own_level 0)
    (T.equal (. (matrix.check (client:account-data :org.example)) :content :n) 2)
    (T.equal (. (matrix.check (client:account-data :org.example {: room-id})) :content :n) 3)
    (T.equal (may client room-id {:event-type :m.room.message}) true)
    (T.equal (may client room-id {:event-type :m.room.topic :is-state true}) false)
    (T.equal (may client room-id {:action :kick :target alice-id}) false)
    (T.equal (may client room-id {:action :redact :target bob-id}) true)
    (T.equal (may client room-id {:action :redact :target alice-id}) false)))

(fn rule [alice room-id]
  (let [{: ban} (matrix.check (alice:power-levels room-id))]
    (fn to [level]
      (may alice room-id {:event-type :m.room.power_levels
                          :is-state true
                          :content {: ban :users {alice-id 100 bob-id level}}}))
    (T.equal (to 100) true)
    (T.equal (to 101) false)))

(fn membership [client room-id]
  (?. (people.room client room-id) :membership))

(fn leave [alice bob room-id]
  (let [other (. (matrix.check (alice:create-room {:invite [bob-id]})) :room_id)]
    (people.wait_until bob #(= (membership bob other) :invite) :invite)
    (matrix.check (alice:kick-user other bob-id))
    (matrix.check (alice:ban-user room-id bob-id))
    (people.wait_until bob #(and (= (membership bob other) :leave) (= (membership bob room-id) :ban)) :end)
    (matrix.check (bob:forget-room other))
    (T.equal (membership bob other) nil)))

(fn follow [alice]
  (var room-id nil)
  (with-client [bob (people.session :2 {:store-path (people.env :STORE) :encryption false})]
    (sync-by-hand bob)
    (listen bob)
    (start-loop bob)
    (set room-id (. (matrix.check (alice:create-room {:name "Tea" :invite [bob-id] :room-version :11}))
                    :room_id))
    (talk alice bob room-id)
    (change alice bob room-id)
    (know bob room-id)
    (rule alice room-id)
    (stop-loop bob))
  ;; Nothing but the store is needed to know it again, and to go on.
  (with-client [bob {:store-path (people.env :STORE) :encryption false}]
    (know bob room-id)
    (T.equal (membership bob room-id) :join)
    (listen bob)
    (start-loop bob)
    (leave alice bob room-id)
    (stop-loop bob)))

(T.test "Bob follows Alice"
        #(run (with-client [alice (people.session "" {:encryption false})]
                (follow alice))))
