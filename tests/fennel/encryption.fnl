;; Encryption between the devices of one user.
(local T ...)
(local matrix (require :matrix))
(local people (require :people))
(import-macros {: run : with-client} :matrix.macros)

(T.test "a user's devices read what each of them says in an encrypted room"
        (fn []
          (run (with-client [first (people.options)]
                 (with-client [second (people.options)]
                   (let [{:user_id user-id} (people.log_in first "")
                         _ (people.log_in second "")
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
