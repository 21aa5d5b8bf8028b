;; Says hello in a room. MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD, MATRIX_ROOM (its id).
(local matrix (require :matrix))
(import-macros {: run : with-client} :matrix.macros)

(fn hello [client]
  (case (client:login-password (os.getenv :MATRIX_USER) (os.getenv :MATRIX_PASSWORD))
    {: error} (print error)
    _ (case (client:send-text (os.getenv :MATRIX_ROOM) "hello")
        {: error} (print error)
        _ (print "said hello")))
  (client:logout))

(run (with-client [client {:homeserver (os.getenv :MATRIX_HOMESERVER)}]
       (hello client)))
