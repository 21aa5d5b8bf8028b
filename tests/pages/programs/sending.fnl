(local people (require :people))
(local page (require :page))
(local print page.print)

(people.in_room
  (fn [client _ room-id]
    ;; LISTING 1
    (people.wait_until client #(= (length page.printed) 4))
    (page.says "$")))
