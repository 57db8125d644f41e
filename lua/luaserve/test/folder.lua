-- SPDX-License-Identifier: MIT
--- New folders, and their end; also in an exit hook, where nothing can be waited for.

local fs = require "luaserve.fs"
local process = require "luaserve.process"
local task = require "luaserve.task"

local folder = {}

--- A new folder that only this user can enter: its path.
function folder.make(parent)
  return assert(fs.mkdtemp((parent or process.env.TMPDIR or "/tmp") .. "/luaserve-test-"))
end

--- Removes a folder and all in it.
function folder.remove(path)
  if task.can_await() then
    assert(fs.rm(path, { recursive = true, force = true }))
  else
    os.execute("rm -rf '" .. path:gsub("'", "'\\''") .. "'")
  end
end

return folder
