;; A bot that its owner's clients trust. MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD.
(local T ...)
(local matrix (require :matrix))
(import-macros {: run : with-client} :matrix.macros)

(fn env [name]
  (or (os.getenv name) (error (.. name " is not set") 0)))

(local password (env :MATRIX_PASSWORD))

(fn options [more]
  (let [all {:homeserver (env :MATRIX_HOMESERVER)}]
    (each [key value (pairs (or more {}))]
      (tset all key value))
    all))

(fn log-in [client]
  (matrix.check (client:login-password (env :MATRIX_USER) password)))

(T.test "one call makes a bot trusted"
        (fn []
          (run (with-client [owner (options)]
                 (let [me (log-in owner)
                       made (matrix.check (owner:bootstrap-cross-signing {: password}))
                       backup (matrix.check (owner:create-backup))
                       storage (matrix.check (owner:create-secret-storage {:passphrase "open sesame"}))]
                   (T.equal backup.is_key_stored false)
                   (with-client [bot (options {:recovery-key storage.recovery_key})]
                     (let [it (log-in bot)
                           done (matrix.check (bot:verify-own-device))]
                       (T.equal done.master_key made.master_key)
                       (T.equal done.backup_version backup.version)
                       (T.equal (. (matrix.check (owner:device-trust me.user_id it.device_id {:reload true})) :trust)
                                :verified)
                       (matrix.check (bot:put-secret :org.example.token :s3cret))
                       (matrix.check (owner:open-secret-storage {:passphrase "open sesame"}))
                       (T.equal (. (matrix.check (owner:get-secret :org.example.token)) :secret) :s3cret)
                       (T.equal (. (matrix.check (bot:restore-backup)) :total_count) 0)
                       (let [file (matrix.check (bot:export-room-keys :sesame {:rounds 10}))
                             back (matrix.check (owner:import-room-keys :sesame {:text file.text}))]
                         (T.equal back.total_count 0))
                       (matrix.check (owner:delete-backup))
                       (T.equal (case (bot:verify-own-device {:passphrase "open says me"})
                                  {:error {: code}} code)
                                :E_RECOVERY_KEY))))))))
