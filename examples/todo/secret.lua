-- SPDX-License-Identifier: MIT
--- The secret that sessions are sealed with: who knows it can be anybody. It is SESSION_SECRET of the environment, or
-- is made at the first start and kept in a file that nobody else can read, so that a restart signs nobody out.

local crypto = require "luaserve.crypto"
local fs = require "luaserve.fs"
local process = require "luaserve.process"

--- @param path of the file
return function(path)
  if process.env.SESSION_SECRET then return process.env.SESSION_SECRET end
  local kept, message, code = fs.read_file(path)
  if code ~= "ENOENT" then return assert(kept, message) end
  local made = crypto.random_bytes(32, "base64url")
  assert(fs.write_file(path, made, { mode = tonumber("600", 8), exclusive = true, sync = true }))
  return made
end
