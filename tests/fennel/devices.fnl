;; The user's own devices.
(local T ...)
(local matrix (require :matrix))
(local people (require :people))
(import-macros {: run : with-client} :matrix.macros)

(local password (people.env :PASSWORD))

(fn log-in [client]
  (. (people.log_in client "") :device_id))

(fn names [client]
  (collect [_ device (ipairs (. (matrix.check (client:own-devices)) :devices))]
    device.device_id (or device.display_name "")))

(T.test "devices are listed, renamed and deleted"
        (fn []
          (run (with-client [first (people.options)]
                 (with-client [second (people.options)]
                   (let [here (log-in first)
                         there (log-in second)]
                     (matrix.check (first:rename-device there "kitchen"))
                     (T.equal (. (names first) there) :kitchen)
                     (T.equal (. (matrix.check (second:own-device)) :device :display_name) :kitchen)
                     (let [{: user_id : ed25519} (matrix.check (second:encryption-status))
                           {: devices} (matrix.check (first:user-devices user_id {:reload true}))]
                       (T.equal (length devices) 1)
                       (T.equal (. devices 1 :ed25519) ed25519)
                       (T.equal (. devices 1 :trust) :unverified))
                     (matrix.check (first:delete-device there {: password}))
                     (T.equal (. (names first) there) nil)
                     (T.equal (case (second:whoami) {:error {: code}} code) :M_UNKNOWN_TOKEN)
                     (matrix.check (first:delete-other-devices {: password}))
                     (matrix.check (first:delete-devices [here] {: password}))
                     (T.equal (. (matrix.check (first:account)) :is_logged_in) false)))))))
