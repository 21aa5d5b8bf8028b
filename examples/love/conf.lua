function love.conf(settings)
  settings.identity = "matrix-room"
  settings.window.title = "A room"
  settings.window.width, settings.window.height = 640, 400
  settings.window.resizable = true
end
