-- SPDX-License-Identifier: MIT
-- An app with as many routes as the first argument says, of three shapes; asked for is /users/7/notes/12 (two
-- parameters), against the same answer without an app: the argument "none".

local App = require "luaserve.app"

local function answer(_, res)
  res:send("Hello, World!")
end

if arg[1] == "none" then return answer end

local app = App.new()
app:get("/users/:user/notes/:note", answer)
for i = 2, tonumber(arg[1]) or 10, 3 do
  app:get("/static/page" .. i, answer)
  app:get("/users/:user/things" .. i .. "/:thing(%d+)", answer)
  app:get("/section" .. i .. "/:id/*rest", answer)
end
if arg[2] == "middleware" then
  for _ = 1, 3 do app:use(function(_, _, next) next() end) end
end
return app
