-- SPDX-License-Identifier: MIT
-- One file as every answer: luaserve -p 0 bench/apps/send_file.lua build/10k

local path = assert(..., "which file?")

return function(_, res)
  res:send_file(path)
end
