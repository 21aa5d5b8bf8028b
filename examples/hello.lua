-- Says hello in a room. MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD, MATRIX_ROOM (its id).
local matrix = require "matrix"

matrix.run(function()
  local client = matrix.create_client { homeserver = os.getenv "MATRIX_HOMESERVER" }
  local login = client:login_password(os.getenv "MATRIX_USER", os.getenv "MATRIX_PASSWORD")
  if not login.ok then
    return print(login.error)
  end
  local sent = client:send_text(os.getenv "MATRIX_ROOM", "hello")
  print(sent.ok and "said hello" or sent.error)
  client:logout()
end)
