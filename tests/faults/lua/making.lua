-- making.lua: gives an account its identity, key backup and secret storage; killed while it does.
-- MATRIX_HOMESERVER, MATRIX_PASSWORD, MATRIX_STORE, which has a session; MATRIX_OLD_KEY: opens the storage from before.
local matrix = require "matrix"

matrix.run(function()
  local client = matrix.create_client { homeserver = os.getenv "MATRIX_HOMESERVER", store_path = os.getenv "MATRIX_STORE" }
  local old_key = os.getenv "MATRIX_OLD_KEY"
  if old_key then
    matrix.check(client:open_secret_storage { recovery_key = old_key })
  end
  matrix.check(client:bootstrap_cross_signing { password = os.getenv "MATRIX_PASSWORD" })
  matrix.check(client:create_backup())
  matrix.check(client:create_secret_storage())
  print "done"
end)
