;; Logs in, syncs, lists the rooms, shows what was said in them, sends a message if asked.
;; MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD; optional MATRIX_CA_FILE, MATRIX_ROOM and MATRIX_SEND.
;; lua -e 'require("matrix").fennel().dofile("room_list.fnl", {correlate = true})'
(import-macros {: run : with-client : on-event} :matrix.macros)
(local matrix (require :matrix))

(fn env [name]
  (or (os.getenv name) (error (.. name " is not set") 0)))

(fn show [room]
  (print (string.format "  %-28s %3d joined %3d unread  %s" room.name
                        room.joined_member_count room.notification_count room.room_id)))

(fn session [client]
  (let [login (matrix.check (client:login-password (env :MATRIX_USER) (env :MATRIX_PASSWORD)))]
    (print (.. "logged in as " login.user_id)))
  (on-event [event client :message]
    (print (.. event.sender ": " (or event.body event.type))))
  (matrix.check (client:sync-once))
  (let [{: rooms} (matrix.check (client:rooms))]
    (print (.. "rooms: " (length rooms)))
    (each [_ room (ipairs rooms)]
      (show room)))
  (when (os.getenv :MATRIX_SEND)
    (let [sent (matrix.check (client:send-text (env :MATRIX_ROOM) (env :MATRIX_SEND)))]
      (print (.. "sent " sent.event_id))))
  (matrix.check (client:logout)))

(fn main []
  (run (with-client [client {:homeserver (env :MATRIX_HOMESERVER)
                             :ca-file (os.getenv :MATRIX_CA_FILE)}]
         (session client))))

(case (pcall main)
  (false problem) (do (io.stderr:write "room_list: " (tostring problem) "\n")
                      (os.exit 1)))
