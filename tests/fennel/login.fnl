;; What login.lua does, in Fennel: the way comes as MATRIX_WAY. Prints "open URL" where a browser is needed.
(local T ...)
(local matrix (require :matrix))
(import-macros {: run : with-client} :matrix.macros)

(fn env [name]
  (or (os.getenv (.. :MATRIX_ name)) (error (.. name " is not set") 0)))

(fn code [payload]
  (case payload
    {:ok true} nil
    {:error {: code}} code))

(fn options [more]
  (let [made (or more {})]
    (set made.homeserver (or made.homeserver (env :HOMESERVER)))
    made))

(fn me [client]
  (. (matrix.check (client:whoami)) :user_id))

(fn log-in [client]
  (matrix.check (client:login-password (env :USER) (env :PASSWORD))))

(local questions
       {:open_url (fn [payload]
                    (print (.. "open " payload.url))
                    (io.stdout:flush)
                    {})})

(matrix.on-call (fn [question] ((. questions question.name) question.payload)))

(local ways {})

(fn ways.flows []
  (with-client [client (options)]
    (let [flows (matrix.check (client:login-flows))]
      (T.matches (table.concat flows.types " ") "m.login.password")
      (T.equal flows.has_oauth false)
      (T.equal (length flows.flows) (length flows.types)))))

(fn ways.register []
  (with-client [client (options {:device-display-name "from Fennel"})]
    (var asked nil)
    (set questions.user_interactive_auth
         (fn [payload]
           (set asked payload)
           {:auth {:type :m.login.registration_token :token (env :TOKEN)}}))
    (let [made (matrix.check (client:register-account {:user (env :USER) :password :secret-word}))]
      (T.equal (. asked.flows 1 :stages 1) :m.login.registration_token)
      (T.equal (me client) made.user_id)
      (T.equal (code (client:register-account)) :E_ALREADY_LOGGED_IN)
      (matrix.check (client:logout))))
  (with-client [client (options)]
    (T.equal (code (client:register-account {:user (env :USER) :token :used})) :M_USER_IN_USE)
    (matrix.check (client:login-password (env :USER) :secret-word))))

(fn ways.register_with_token []
  (with-client [client (options)]
    (let [made (matrix.check (client:register-account {:user (env :USER)
                                                       :password :secret-word
                                                       :token (env :TOKEN)}))]
      (T.equal (me client) made.user_id))))

(fn ways.token []
  (with-client [client (options {:device-id :FNLTOKEN})]
    (T.equal (. (matrix.check (client:login-token (env :TOKEN))) :device_id) :FNLTOKEN)
    (T.equal (me client) (env :USER_ID))
    (matrix.check (client:logout))
    (T.equal (code (client:login-token (env :TOKEN))) :M_FORBIDDEN)))

(fn ways.email []
  (with-client [client (options)]
    (let [login (matrix.check (client:login-password (env :USER) (env :PASSWORD)
                                                     {:identifier :email}))]
      (T.equal login.user_id (env :USER_ID)))))

(fn ways.session []
  (var text nil)
  (with-client [client (options)]
    (T.equal (code (client:export-session)) :E_NOT_LOGGED_IN)
    (log-in client)
    (assert (> (. (matrix.check (client:account)) :expires_in_ms) 0))
    (assert (> (. (matrix.check (client:refresh-session)) :expires_in_ms) 0))
    (set text (. (matrix.check (client:export-session)) :session)))
  ;; The homeserver refuses this access token; the refresh token helps.
  (with-client [client (options {:session (pick-values 1 (text:gsub "\"access_token\":\"[^\"]*\""
                                                                    "\"access_token\":\"void\""))})]
    (T.equal (me client) (env :USER_ID))
    (T.equal (. (matrix.check (client:account)) :has_refresh_token) true)
    (matrix.check (client:logout {:everywhere true})))
  (with-client [client (options {:session text})]
    (T.equal (code (client:whoami)) :M_UNKNOWN_TOKEN)
    (T.equal (. (matrix.check (client:account)) :is_logged_in) false)
    (matrix.check (client:logout {:local-only true}))
    (T.equal (. (matrix.check (client:account)) :user_id) nil))
  (with-client [client (options {:session (pick-values 1 (text:gsub "\"version\":1" "\"version\":2"))})]
    (T.equal (code (client:account)) :E_INVALID_ARGUMENT)))

(fn ways.sealed []
  (fn at [passphrase]
    (options {:store-path (env :STORE) :store-passphrase passphrase}))
  (with-client [client (at "correct horse")]
    (log-in client))
  (with-client [client (at "correct horse")]
    (T.equal (me client) (env :USER_ID)))
  (with-client [client (at "wrong")]
    (T.equal (code (client:account)) :E_STORE_PASSPHRASE)))

(fn ways.sso []
  (with-client [client (options)]
    (let [{: url} (matrix.check (client:sso-url "app:done" {:identity-provider "a/b"}))]
      (T.matches url "/login/sso/redirect/a%%2Fb%?redirectUrl=app%%3Adone$"))
    (let [login (matrix.check (client:login-sso {:identity-provider :ours :timeout-ms 20000}))]
      (T.equal login.user_id (env :USER_ID))
      (T.equal (me client) login.user_id)
      (matrix.check (client:logout)))))

(fn ways.oauth []
  (with-client [client (options)]
    (let [login (matrix.check (client:login-oauth {:client-uri "https://example.org"
                                                   :timeout-ms 20000}))]
      (T.equal (me client) login.user_id)
      (matrix.check (client:logout)))
    (var shown nil)
    (let [login (matrix.check (client:login-oauth-device {:client-id :known
                                                          :device-id :ABCDEFGHIJ
                                                          :on-progress #(set shown $1)}))]
      (T.equal login.device_id :ABCDEFGHIJ)
      (T.equal shown.user_code :WDJB-MJHT)
      (matrix.check (client:refresh-session))
      (matrix.check (client:logout)))))

(fn ways.discovery []
  (with-client [client (options {:ca-file (env :CA_FILE) :proxy (env :PROXY)})]
    (log-in client)
    (T.equal (. (matrix.check (client:account)) :homeserver) (env :BASE_URL))
    (T.equal (me client) (env :USER_ID))
    (matrix.check (client:logout))))

(T.test (env :WAY) #(run ((. ways (env :WAY)))))
