;; Two users verify each other by emoji, then find a mismatch, then decline.
(local T ...)
(local {: check : run} T.matrix)
(local people (require :people))

(fn listen [client]
  "Syncs and hears of verifications: gives a function that waits until one is in a state."
  (let [heard []]
    (client:subscribe :verification {} #(table.insert heard $1))
    (check (client:sync-loop-start {:timeout-ms 10000}))
    (fn [state id]
      (fn find []
        (accumulate [found nil _ event (ipairs heard) &until found]
          (when (and (= event.state state) (= id event.verification_id))
            event)))
      (people.wait_until client find state)
      (find))))

(fn descriptions [event]
  (table.concat (icollect [_ {: description} (ipairs event.emoji)] description) " "))

(fn compare [alice bob heard-a heard-b room-id]
  "From the request to the emoji on both sides; Bob begins."
  (let [{: verification} (check (alice:request-verification people.bob_id {:room-id room-id}))
        id verification.verification_id]
    (heard-b :requested id)
    (check (bob:accept-verification id))
    (heard-a :ready id)
    (check (bob:start-sas id))
    (T.equal (descriptions (heard-a :comparing id)) (descriptions (heard-b :comparing id)))
    id))

(T.test "users verify each other, find a mismatch, and decline"
        #(people.in_room
           (fn [alice bob room-id]
             (check (alice:bootstrap-cross-signing {:password (people.env :PASSWORD)}))
             (check (bob:bootstrap-cross-signing {:password (people.env :PASSWORD2)}))
             (let [heard-a (listen alice)
                   heard-b (listen bob)
                   id (compare alice bob heard-a heard-b room-id)]
               (check (alice:confirm-verification id))
               (check (bob:confirm-verification id))
               (heard-a :done id)
               (heard-b :done id)
               (T.equal (. (check (alice:user-trust people.bob_id)) :trust) :verified)
               (let [again (compare alice bob heard-a heard-b room-id)]
                 (check (bob:mismatch-verification again))
                 (T.equal (. (heard-a :cancelled again) :cancel_code) :m.mismatched_sas))
               (let [{: verification} (check (bob:request-verification people.alice_id {:room-id room-id}))]
                 (heard-a :requested verification.verification_id)
                 (check (alice:cancel-verification verification.verification_id))
                 (T.equal (. (heard-b :cancelled verification.verification_id) :cancel_code) :m.user))
               (T.equal (case (alice:show-qr id) {:error {: code}} code) :E_INVALID_ARGUMENT)
               (T.equal (case (alice:scan-qr id "x") {:error {: code}} code) :E_INVALID_ARGUMENT)
               (T.equal (length (. (check (alice:verifications)) :verifications)) 3)))))
