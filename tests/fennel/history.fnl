;; What was said before, from Fennel.
(local T ...)
(local {: check} T.matrix)
(local people (require :people))

(T.test "events, pages, relations, search"
        #(people.in_room
           (fn [alice bob room-id]
             (let [id #(. (check $1) :event_id)
                   root (id (alice:send-text room-id "darjeeling"))
                   edit (id (alice:edit-message room-id root "assam"))
                   answer (id (bob:send-text room-id "yes" {:thread-id root}))
                   {: event} (check (bob:fetch-event room-id root))
                   context (check (bob:event-context room-id edit {:limit 2}))
                   page (check (bob:history room-id {:limit 1}))
                   thread (check (bob:relations room-id root {:rel-type :m.thread}))]
               (T.equal event.body "darjeeling")
               (T.equal (. context.events_before 1 :event_id) root)
               (T.equal (. context.events_after 1 :event_id) answer)
               (T.equal (. page.events 1 :event_id) answer)
               (T.equal (. thread.events 1 :event_id) answer)
               (T.equal (. (check (bob:edit-history room-id root)) :edits 1 :new_body) "assam")
               (T.equal (. (check (bob:threads room-id)) :threads 1 :event :event_id) root)
               (T.equal (. (check (bob:search-messages "darjeeling")) :results 1 :event :event_id) root)
               (T.equal (id (bob:timestamp-to-event room-id event.origin_server_ts)) root)))))

;; Goes from page to page, of one each, to the end; how many of them there were.
(fn count-all [ask list]
  (var count 0)
  (var token nil)
  (var at-end? false)
  (while (not at-end?)
    (let [page (check (ask {:limit 1 :from-token token}))]
      (set count (+ count (length (. page list))))
      (set token page.next_batch)
      (set at-end? (= token nil))))
  count)

(T.test "pages of search, threads and relations"
        #(people.in_room
           (fn [alice bob room-id]
             (for [_ 1 3]
               (let [{: event_id} (check (alice:send-text room-id "lapsang"))]
                 (check (bob:send-text room-id "smoky" {:thread-id event_id}))
                 (check (bob:send-reaction room-id event_id "+1"))))
             (let [{: threads} (check (alice:threads room-id))
                   root (. threads 1 :event :event_id)]
               (T.equal (count-all #(bob:search-messages "lapsang" $1) :results) 3)
               (T.equal (count-all #(bob:threads room-id $1) :threads) (length threads))
               (T.equal (count-all #(bob:relations room-id root $1) :events) 2)))))

(T.test "a cursor"
        #(people.in_room
           (fn [alice _ room-id]
             (let [cursor (alice:cursor room-id {:page-size 2 :direction :forward})
                   types []]
               (while (cursor:next)
                 (table.insert types cursor.event.type))
               (T.equal (. types 1) :m.room.create)
               (when (or (not= _VERSION "Lua 5.1") _G.jit)
                 (let [again (icollect [event (: (alice:cursor room-id {:direction :forward}) :events)]
                               event.type)]
                   (T.same again types)))
               (T.equal cursor.error nil)
               (let [{: cursor} (check (alice:open-cursor room-id))
                     {: events} (check (alice:read-cursor cursor))]
                 (T.equal (length events) (length types))
                 (T.equal (. (check (alice:close-cursor cursor)) :was_open) true))))))
