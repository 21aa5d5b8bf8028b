-- :[range]MatrixPost sends the lines to a room; replies to them show up below as virtual text.
vim.api.nvim_create_user_command("MatrixPost", function(command)
  require("matrix_post").post(vim.api.nvim_get_current_buf(), command.line1, command.line2)
end, { range = true, desc = "post the lines to the Matrix room and show replies" })
