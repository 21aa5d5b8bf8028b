;; Everything that can be sent into a room, from Fennel: alice sends, bob reads.
(local T ...)
(local {: check} T.matrix)
(local people (require :people))

(T.test "texts of every kind are heard"
        #(people.in_room
           (fn [alice bob room-id]
             (let [hear (people.listener bob :any room-id)
                   sent #(hear (. (check $1) :event_id))]
               (T.equal (. (sent (alice:send-text room-id "tea" {:mentions-room true}))
                           :content :m.mentions :room) true)
               (T.equal (. (sent (alice:send-notice room-id "tea")) :msgtype) :m.notice)
               (T.equal (. (sent (alice:send-emote room-id "drinks")) :msgtype) :m.emote)
               (T.equal (. (sent (alice:send-markdown room-id "*tea*")) :content :formatted_body)
                        "<em>tea</em>")
               (T.equal (. (sent (alice:send-location room-id "here" "geo:1,2")) :content :geo_uri)
                        "geo:1,2")
               (T.equal (. (sent (alice:send-sticker room-id "cat" "mxc://localhost/cat")) :type)
                        :m.sticker)
               (T.equal (. (sent (alice:send-event room-id :org.example.move {:x 3})) :content :x) 3)))))

(T.test "what is said about other events"
        #(people.in_room
           (fn [alice bob room-id]
             (let [hear (people.listener bob :any room-id)
                   sent #(hear (. (check $1) :event_id))
                   root (. (check (alice:send-text room-id "root")) :event_id)]
               (T.equal (. (sent (alice:send-reply room-id root "reply")) :reply_to) root)
               (T.equal (. (sent (alice:send-text room-id "in it" {:thread-id root})) :thread_id) root)
               (T.equal (. (sent (alice:edit-message room-id root "edited")) :new_body) "edited")
               (T.equal (. (sent (alice:send-reaction room-id root "+1")) :reaction_key) "+1")
               (T.equal (. (sent (alice:redact room-id root {:reason "done"})) :redacts) root)))))
