-- SPDX-License-Identifier: MIT
--- A folder for the files of a case, and blocking ways to write and read them, so that the specs of fs do not rest on
-- what they test.

local assert = require "luassert"
local fs = require "luaserve.fs"

local files = {}

local folder

--- Runs a command of the shell; its arguments are put into it as string.format does.
function files.shell(format, ...)
  assert(os.execute(string.format(format, ...)))
end

--- Makes the folder of the next case.
-- @return its path
function files.make_folder()
  folder = assert(fs.mkdtemp((os.getenv("TMPDIR") or "/tmp") .. "/luaserve-fs-"))
  return folder
end

--- Removes the folder and all that is in it.
function files.remove_folder()
  files.shell("chmod -R u+rwx '%s' && rm -rf '%s'", folder, folder)
end

--- The path of a name in the folder.
function files.at(name)
  return folder .. "/" .. name
end

--- The names in the folder.
function files.names()
  return assert(fs.readdir(folder))
end

function files.put(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

--- Makes a file of this size without writing its bytes: they are zeros.
function files.make_large(path, size)
  files.shell("truncate -s %d '%s'", size, path)
end

function files.get(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

--- The number that octal digits mean: a mode.
function files.octal(text)
  return tonumber(text, 8)
end

return files
