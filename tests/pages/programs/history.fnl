(local matrix (require :matrix))
(local people (require :people))
(local page (require :page))
(local print page.print)

(people.in_room
  (fn [client bob room-id]
    (let [event-id (. (matrix.check (bob:send-text room-id "old")) :event_id)]
      (matrix.check (bob:send-text room-id "new"))
      ;; LISTING 1
      (assert (= (table.concat page.printed " ") "old new")))))
