;; What login.lua does, in Fennel: the way comes as MATRIX_WAY. Prints "open URL" where a browser is needed.
(local T ...)
(local matrix (require :matrix))
(local people (require :people))
(import-macros {: run : with-client} :matrix.macros)

(fn me [client]
  (. (matrix.check (client:whoami)) :user_id))

(local questions
       {:open_url (fn [payload]
                    (print (.. "open " payload.url))
                    (io.stdout:flush)
                    {})})

(matrix.on-call (fn [question] ((. questions question.name) question.payload)))

(local ways {})

(fn ways.flows []
  (with-client [client (people.options)]
    (let [flows (matrix.check (client:login-flows))]
      (T.matches (table.concat flows.types " ") "m.login.password")
      (T.equal flows.has_oauth false)
      (T.equal (length flows.flows) (length flows.types)))))

(fn ways.register []
  (with-client [client (people.options {:device-display-name "from Fennel"})]
    (var asked nil)
    (set questions.user_interactive_auth
         (fn [payload]
           (set asked payload)
           {:auth {:type :m.login.registration_token :token (people.env :TOKEN)}}))
    (let [made (matrix.check (client:register-account {:user (people.env :USER) :password :secret-word}))]
      (T.equal (. asked.flows 1 :stages 1) :m.login.registration_token)
      (T.equal (me client) made.user_id)
      (T.equal (people.code (client:register-account)) :E_ALREADY_LOGGED_IN)
      (matrix.check (client:logout))))
  (with-client [client (people.options)]
    (T.equal (people.code (client:register-account {:user (people.env :USER) :token :used})) :M_USER_IN_USE)
    (matrix.check (client:login-password (people.env :USER) :secret-word))))

(fn ways.register_with_token []
  (with-client [client (people.options)]
    (let [made (matrix.check (client:register-account {:user (people.env :USER)
                                                       :password :secret-word
                                                       :token (people.env :TOKEN)}))]
      (T.equal (me client) made.user_id))))

(fn ways.token []
  (with-client [client (people.options {:device-id :FNLTOKEN})]
    (T.equal (. (matrix.check (client:login-token (people.env :TOKEN))) :device_id) :FNLTOKEN)
    (T.equal (me client) (people.env :USER_ID))
    (matrix.check (client:logout))
    (T.equal (people.code (client:login-token (people.env :TOKEN))) :M_FORBIDDEN)))

(fn ways.email []
  (with-client [client (people.options)]
    (let [login (matrix.check (client:login-password (people.env :USER) (people.env :PASSWORD)
                                                     {:identifier :email}))]
      (T.equal login.user_id (people.env :USER_ID)))))

(fn ways.session []
  (var text nil)
  (with-client [client (people.options)]
    (T.equal (people.code (client:export-session)) :E_NOT_LOGGED_IN)
    (people.log_in client "")
    (assert (> (. (matrix.check (client:account)) :expires_in_ms) 0))
    (assert (> (. (matrix.check (client:refresh-session)) :expires_in_ms) 0))
    (set text (. (matrix.check (client:export-session)) :session)))
  ;; The homeserver refuses this access token; the refresh token helps.
  (with-client [client (people.options {:session (pick-values 1 (text:gsub "\"access_token\":\"[^\"]*\""
                                                                    "\"access_token\":\"void\""))})]
    (T.equal (me client) (people.env :USER_ID))
    (T.equal (. (matrix.check (client:account)) :has_refresh_token) true)
    (matrix.check (client:logout {:everywhere true})))
  (with-client [client (people.options {:session text})]
    (T.equal (people.code (client:whoami)) :M_UNKNOWN_TOKEN)
    (T.equal (. (matrix.check (client:account)) :is_logged_in) false)
    (matrix.check (client:logout {:local-only true}))
    (T.equal (. (matrix.check (client:account)) :user_id) nil))
  (with-client [client (people.options {:session (pick-values 1 (text:gsub "\"version\":1" "\"version\":2"))})]
    (T.equal (people.code (client:account)) :E_INVALID_ARGUMENT)))

(fn ways.sealed []
  (fn at [passphrase]
    (people.options {:store-path (people.env :STORE) :store-passphrase passphrase}))
  (with-client [client (at "correct horse")]
    (people.log_in client ""))
  (with-client [client (at "correct horse")]
    (T.equal (me client) (people.env :USER_ID)))
  (with-client [client (at "wrong")]
    (T.equal (people.code (client:account)) :E_STORE_PASSPHRASE)))

(fn ways.sso []
  (with-client [client (people.options)]
    (let [{: url} (matrix.check (client:sso-url "app:done" {:identity-provider "a/b"}))]
      (T.matches url "/login/sso/redirect/a%%2Fb%?redirectUrl=app%%3Adone$"))
    (let [login (matrix.check (client:login-sso {:identity-provider :ours :timeout-ms 20000}))]
      (T.equal login.user_id (people.env :USER_ID))
      (T.equal (me client) login.user_id)
      (matrix.check (client:logout)))))

(fn ways.oauth []
  (with-client [client (people.options)]
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
  (with-client [client (people.options {:proxy (people.env :PROXY)})]
    (people.log_in client "")
    (T.equal (. (matrix.check (client:account)) :homeserver) (people.env :BASE_URL))
    (T.equal (me client) (people.env :USER_ID))
    (matrix.check (client:logout))))

(T.test (people.env :WAY) #(run ((. ways (people.env :WAY)))))
