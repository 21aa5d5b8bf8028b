(local matrix (require :matrix))
(local people (require :people))

(people.in_room
  (fn [client bob room-id]
    (let [event-id (. (matrix.check (bob:send-text room-id "read this")) :event_id)]
      (var marked nil)
      (client:subscribe :receipt {:room-id room-id}
                        #(when $1.is_own (set marked $1.event_id)))
      ;; LISTING 1
      (people.sync_until client #(= marked event-id)))))
