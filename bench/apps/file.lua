-- SPDX-License-Identifier: MIT
-- Answers with a file of 10 KiB that the handler reads each time: arg[1].

local fs = require "luaserve.fs"
local path = arg[1] or error("which file?")

return function(_, res)
  res:send(assert(fs.read_file(path)))
end
