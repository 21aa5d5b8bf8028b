;; Rooms, the directory, direct chats and spaces, by two users.
(local T ...)
(local matrix (require :matrix))
(local people (require :people))

(T.test "a room is made and ruled"
        #(people.meet
           (fn [alice bob alice-id bob-id]
             (let [{: room_id} (matrix.check (alice:create-room {:name "Tea"
                                                                :preset :private_chat
                                                                :room-version :11
                                                                :creation-content {:x 1}
                                                                :initial-state [{:type :org.example
                                                                                 :content {:n 1}}]}))]
               (T.equal (. (people.state alice room_id :org.example) :n) 1)
               (T.equal (people.code (bob:join-room room_id)) :M_FORBIDDEN)
               (matrix.check (alice:invite-user room_id bob-id {:reason "come"}))
               (matrix.check (bob:join-room room_id {:via [:localhost] :reason "thanks"}))
               (T.equal (length (. (matrix.check (alice:joined-members room_id)) :members)) 2)
               (matrix.check (alice:set-room-name room_id "Coffee"))
               (matrix.check (alice:set-room-topic room_id "beans" {:html "<i>beans</i>"}))
               (matrix.check (alice:set-room-avatar room_id "mxc://localhost/bean"))
               (T.equal (. (people.state alice room_id :m.room.name) :name) "Coffee")
               (T.equal (. (people.state alice room_id :m.room.topic) :topic) "beans")
               (T.equal (people.code (bob:set-room-name room_id "Mine")) :M_FORBIDDEN)
               (matrix.check (alice:set-power-level room_id bob-id 50))
               (matrix.check (bob:set-room-name room_id "Mine"))
               (matrix.check (alice:set-power-levels room_id {:kick 60}))
               (T.equal (. (matrix.check (bob:power-levels room_id)) :kick) 60)
               (matrix.check (alice:set-history-visibility room_id :world_readable))
               (matrix.check (alice:set-guest-access room_id :can_join))
               (let [{: event_id} (matrix.check (alice:send-text room_id "pin me"))]
                 (T.same (. (matrix.check (alice:pin-event room_id event_id)) :event_ids) [event_id])
                 (T.same (. (matrix.check (alice:unpin-event room_id event_id)) :event_ids) []))
               (T.same (. (matrix.check (alice:pinned-events room_id)) :event_ids) [])
               (matrix.check (alice:send-state-event room_id :org.example {:n 2}))
               (T.equal (. (people.state alice room_id :org.example) :n) 2)))))

(T.test "a room is left, forgotten and replaced"
        #(people.meet
           (fn [alice bob alice-id bob-id]
             (let [{: room_id} (matrix.check (alice:create-room {:invite [bob-id] :room-version :11}))]
               (matrix.check (bob:join-room room_id))
               (matrix.check (alice:kick-user room_id bob-id {:reason "out"}))
               (matrix.check (alice:ban-user room_id bob-id))
               (matrix.check (alice:unban-user room_id bob-id))
               (matrix.check (alice:set-join-rule room_id :knock))
               (matrix.check (bob:knock-room room_id {:reason "please"}))
               (T.equal (. (people.state alice room_id :m.room.member bob-id) :membership) :knock)
               (matrix.check (bob:leave-room room_id))
               (matrix.check (bob:forget-room room_id))
               (matrix.check (alice:enable-encryption room_id))
               (let [{: successor_room_id} (matrix.check (alice:upgrade-room room_id :12))]
                 (T.equal (. (matrix.check (alice:room-successor room_id)) :successor_room_id)
                          successor_room_id)
                 (T.equal (. (matrix.check (alice:room-predecessor successor_room_id))
                             :predecessor_room_id)
                          room_id)
                 (T.equal (. (matrix.check (alice:join-successor room_id)) :room_id)
                          successor_room_id))))))

(T.test "what contradicts itself is refused by name"
        #(people.meet
           (fn [alice]
             (case (alice:create-room {:join-rule :restricted})
               {:ok false :error {: code : message}} (do
                                                       (T.equal code :E_INVALID_ARGUMENT)
                                                       (T.matches message "^allow: "))))))

(T.test "a room is found in the directory"
        #(people.meet
           (fn [alice bob alice-id]
             (let [alias (.. "#fnl-" (alice-id:sub 2))
                   {: room_id} (matrix.check (alice:create-room {:preset :public_chat
                                                                :name alias}))]
               (matrix.check (alice:create-room-alias room_id alias))
               (T.equal (. (matrix.check (bob:resolve-room-alias alias)) :room_id) room_id)
               (T.same (. (matrix.check (alice:room-aliases room_id)) :aliases) [alias])
               (matrix.check (alice:set-canonical-alias room_id {: alias}))
               (T.equal (. (matrix.check (alice:canonical-alias room_id)) :alias) alias)
               (matrix.check (alice:set-directory-visibility room_id :public))
               (T.equal (. (matrix.check (bob:directory-visibility room_id)) :visibility) :public)
               (let [{: rooms} (matrix.check (bob:public-rooms {:search-term alias}))]
                 (T.equal (length rooms) 1)
                 (T.equal (. rooms 1 :room_id) room_id))
               (let [{: room} (matrix.check (bob:room-summary alias {:via [:localhost]}))]
                 (T.equal room.room_id room_id)
                 (T.equal room.join_rule :public))
               (matrix.check (bob:join-room alias))
               (T.equal (people.has_joined bob room_id) true)
               (matrix.check (alice:delete-room-alias alias))
               (T.equal (people.code (bob:resolve-room-alias alias)) :M_NOT_FOUND)))))

(T.test "direct chats, tags and marks"
        #(people.meet
           (fn [alice bob alice-id bob-id]
             (let [{: room_id :is_new new?} (matrix.check (alice:direct-room bob-id))]
               (T.equal new? true)
               (T.equal (. (people.state alice room_id :m.room.encryption) :algorithm)
                        :m.megolm.v1.aes-sha2)
               (T.equal (. (matrix.check (alice:find-direct-room bob-id)) :room_id) room_id)
               (matrix.check (alice:remove-direct-room room_id))
               (T.equal (. (matrix.check (alice:find-direct-room bob-id)) :room_id) nil)
               (matrix.check (alice:add-direct-room bob-id room_id))
               (T.same (. (matrix.check (alice:direct-rooms)) :rooms)
                       [{:user_id bob-id :room_ids [room_id]}])
               (matrix.check (alice:set-room-tag room_id :u.tea {:order 0.5}))
               (T.same (. (matrix.check (alice:room-tags room_id)) :tags) {:u.tea {:order 0.5}})
               (matrix.check (alice:delete-room-tag room_id :u.tea))
               (T.same (. (matrix.check (alice:room-tags room_id {:reload true})) :tags) {})
               (matrix.check (alice:mark-room-unread room_id))
               (T.equal (. (matrix.check (alice:account-data :m.marked_unread {:room-id room_id}))
                           :content :unread)
                        true)))))

(T.test "rooms are put into a space"
        #(people.meet
           (fn [alice bob]
             (let [{: space_id} (matrix.check (alice:create-space {:name "Drinks"
                                                                  :preset :public_chat}))
                   {: room_id} (matrix.check (alice:create-room {:name "Tea" :preset :public_chat}))]
               (matrix.check (alice:add-space-child space_id room_id {:suggested true :order "a"}))
               (T.equal (. (matrix.check (alice:space-children space_id)) :children 1 :room_id)
                        room_id)
               (let [{: rooms} (matrix.check (bob:space-hierarchy space_id {:max-depth 1}))]
                 (T.equal (length rooms) 2)
                 (T.equal (. rooms 1 :children 1 :suggested) true)
                 (T.equal (. rooms 2 :name) "Tea"))
               (let [first (matrix.check (bob:space-hierarchy space_id {:limit 1}))
                     options {:limit 1 :from-token first.next_batch}
                     second (matrix.check (bob:space-hierarchy space_id options))]
                 (T.equal (. first.rooms 1 :room_id) space_id)
                 (T.equal (. second.rooms 1 :room_id) room_id)
                 (T.equal second.next_batch nil))
               (matrix.check (alice:add-space-parent room_id space_id {:canonical true}))
               (T.equal (. (matrix.check (alice:space-parents room_id)) :parents 1 :space_id)
                        space_id)
               (matrix.check (alice:remove-space-parent room_id space_id))
               (matrix.check (alice:remove-space-child space_id room_id))
               (T.same (. (matrix.check (alice:space-children space_id)) :children) [])))))
