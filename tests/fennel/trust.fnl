;; A bot that its owner's clients trust.
(local T ...)
(local matrix (require :matrix))
(local people (require :people))
(import-macros {: run : with-client} :matrix.macros)

(local password (people.env :PASSWORD))

(T.test "one call makes a bot trusted"
        (fn []
          (run (with-client [owner (people.options)]
                 (let [me (people.log_in owner "")
                       made (matrix.check (owner:bootstrap-cross-signing {: password}))
                       backup (matrix.check (owner:create-backup))
                       storage (matrix.check (owner:create-secret-storage {:passphrase "open sesame"}))]
                   (T.equal backup.is_key_stored false)
                   (with-client [bot (people.options {:recovery-key storage.recovery_key})]
                     (let [it (people.log_in bot "")
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
