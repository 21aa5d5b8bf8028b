(local page (require :page))
(local print page.print)
(local user (os.getenv :MATRIX_USER))
(local password (os.getenv :MATRIX_PASSWORD))
;; LISTING 1
;; The name of a room without a name is that of who else is in it.
(page.says (os.getenv :MATRIX_USER2))
