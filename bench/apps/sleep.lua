-- SPDX-License-Identifier: MIT
local timer = require "luaserve.timer"

return function(_, res)
  timer.sleep(0.01)
  res:send("slept")
end
