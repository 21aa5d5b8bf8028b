;; Polls, from Fennel.
(local T ...)
(local {: check} T.matrix)
(local people (require :people))

(T.test "a poll from the question to the end"
        #(people.in_room
           (fn [alice bob room-id]
             (let [poll (. (check (alice:start-poll room-id "Tea?" [:green :black])) :event_id)]
               (check (bob:answer-poll room-id poll [:2]))
               (check (alice:end-poll room-id poll))
               (let [{: answers : is_ended} (check (bob:poll-results room-id poll))]
                 (T.same (icollect [_ {: count} (ipairs answers)] count) [0 1])
                 (T.equal is_ended true))))))
