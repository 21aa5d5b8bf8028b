-- Posts lines of a buffer to a room and shows the replies. Put the folder on the runtime path, the module
-- `matrix` on LUA_CPATH, and set MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD, MATRIX_ROOM.
local matrix = require "matrix"

local M = {}
local namespace = vim.api.nvim_create_namespace "matrix"
local posts = {} -- event_id of what was posted -> where it stands
local connection, client, room_id

local function notify(text)
  vim.notify("matrix: " .. tostring(text), vim.log.levels.WARN)
end

local function show_reply(event)
  local post = posts[event.reply_to or event.thread_id]
  if not post or not vim.api.nvim_buf_is_valid(post.buffer) then
    return
  end
  local text = (event.sender .. ": " .. (event.body or "")):gsub("%c", " ")
  post.replies[#post.replies + 1] = { { text, "Comment" } }
  local row = vim.api.nvim_buf_get_extmark_by_id(post.buffer, namespace, post.mark, {})[1]
  vim.api.nvim_buf_set_extmark(post.buffer, namespace, row, 0, { id = post.mark, virt_lines = post.replies })
end

-- libuv says when something is due; the callbacks then run on Neovim's own thread, between two keys.
vim.loop.new_poll(matrix.pollfd()):start("r", vim.schedule_wrap(function()
  matrix.dispatch(0, 5000)
end))

local function connect()
  client = matrix.create_client { homeserver = vim.env.MATRIX_HOMESERVER }
  client:subscribe("message", { not_own = true }, show_reply)
  matrix.check(client:login_password(vim.env.MATRIX_USER, vim.env.MATRIX_PASSWORD))
  room_id = matrix.check(client:join_room(vim.env.MATRIX_ROOM)).room_id
  matrix.check(client:sync_loop_start())
end

-- One connection for all posts; one that failed is tried again by the next post.
local function connected()
  local done, problem = matrix.pcall(function()
    connection = connection or matrix.spawn(connect)
    connection:join()
  end)
  if not done then
    connection = nil
    notify(problem)
  end
  return done
end

--- Posts lines first to last (from 1) of a buffer.
function M.post(buffer, first, last)
  local text = table.concat(vim.api.nvim_buf_get_lines(buffer, first - 1, last, true), "\n")
  local mark = vim.api.nvim_buf_set_extmark(buffer, namespace, last - 1, 0, {})
  matrix.spawn(function()
    if not connected() then
      return
    end
    local sent = client:send_text(room_id, text)
    if not sent.ok then
      return notify(sent.error)
    end
    posts[sent.event_id] = { buffer = buffer, mark = mark, replies = {} }
    vim.notify "matrix: posted"
  end)
end

return M
