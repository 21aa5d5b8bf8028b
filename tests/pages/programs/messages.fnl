(local matrix (require :matrix))
(local people (require :people))

(people.in_room
  (fn [client bob room-id]
    (var answered false)
    (bob:subscribe :message {:room-id room-id}
                   #(when (= $1.body "with milk") (set answered true)))
    ;; LISTING 1
    (people.sync_until bob #answered)))
