;; A bot: !echo words, !roll 2d6, !remind 90 stir the tea. It joins where it is invited and answers with notices.
;; MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD; optional MATRIX_STORE, the folder where it keeps its session.
(local matrix (require :matrix))
(import-macros {: run : on-event} :matrix.macros)

(local client (matrix.create-client {:homeserver (os.getenv :MATRIX_HOMESERVER)
                                     :store-path (os.getenv :MATRIX_STORE)}))

(local reminders [])

(fn answer [event text]
  (client:send-reply event.room_id event.event_id text {:kind :notice}
                     #(when (not $.ok) (print "not sent" $.error))))

(fn sum-of-dice [count sides]
  (faccumulate [sum 0 _ 1 count] (+ sum (math.random sides))))

(local commands {})

(fn commands.echo [event words]
  (answer event words))

(fn commands.roll [event words]
  (let [(given sides) (words:match "^(%d*)d(%d+)$")
        count (or (tonumber given) 1)
        sides (tonumber sides)]
    (if (and sides (<= 1 sides 1000) (<= 1 count 100))
        (answer event (string.format "%dd%d: %d" count sides (sum-of-dice count sides)))
        (answer event "say !roll 2d6"))))

(fn commands.remind [event words]
  (case (words:match "^(%d+) (.+)$")
    (seconds text) (do (table.insert reminders {:at (+ (os.time) (tonumber seconds)) : event : text})
                       (answer event (.. "in " seconds " s")))
    _ (answer event "say !remind 90 stir the tea")))

;; Notices are what other bots say: to answer them could go on forever.
(fn is-command [event]
  (and (= event.msgtype :m.text) (not event.is_historic) (not event.replaces)))

(on-event [event client :message {:not-own true}]
  (let [(name words) (: (or event.body "") :match "^!(%a+)%s*(.*)$")
        command (. commands name)]
    (when (and command (is-command event))
      (command event words))))

(on-event [invite client :invite]
  (client:join-room invite.room_id matrix.ignore))

(on-event [change client :sync_state]
  (when (= change.state :unauthorized)
    (error "the homeserver has ended the session; the next start logs in again")))

(run (when (not (. (client:account) :is_logged_in))
       (matrix.check (client:login-password (os.getenv :MATRIX_USER) (os.getenv :MATRIX_PASSWORD))))
     (matrix.check (client:sync-loop-start)))
(print "the bot listens")

(fn remind []
  (for [index (length reminders) 1 -1]
    (when (>= (os.time) (. reminders index :at))
      (let [reminder (table.remove reminders index)]
        (answer reminder.event reminder.text)))))

(while true
  (matrix.dispatch 250)
  (remind))
