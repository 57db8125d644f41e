-- SPDX-License-Identifier: MIT
--- Writes the folder of a new app: what `luaserve new NAME` requires and calls. What is there already is left alone.

local files = require "luaserve.new.files"
local fs = require "luaserve.fs"
local process = require "luaserve.process"

local USAGE = [[
usage: luaserve new NAME

Writes a folder NAME with a small app, its page, its style and its spec, which run
as they are. The folder must not exist, or be empty.
]]

local DONE, FAILED, MISUSED = 0, 1, 2

local function fail(status, text)
  io.stderr:write("luaserve: ", text, "\n")
  return status
end

--- Whether a name can be a folder's, and stand in the files: letters, digits, "-", "_" and ".".
local function is_name(name)
  return name:find("^[%w_][%w_.-]*$") ~= nil and #name <= 100
end

--- Makes the folder, unless it is there and empty.
-- @return true; or nil and why not
local function make_folder(name)
  local made, message, code = fs.mkdir(name)
  if made then return true end
  if code ~= "EEXIST" then return nil, message end
  local names = fs.readdir(name)
  if not names then return nil, ("'%s' exists and is no folder"):format(name) end
  if #names > 0 then return nil, ("the folder '%s' exists and is not empty"):format(name) end
  return true
end

local function write(name, file)
  local path = name .. "/" .. file.path
  local parent = path:match("^(.*)/")
  local ok, message = fs.mkdir(parent, { recursive = true })
  if not ok then return nil, message end
  return fs.write_file(path, (file.text:gsub("NAME", (name:gsub("%%", "%%%%")))), { exclusive = true })
end

--- What starts luaserve from inside the new folder: its name where PATH leads to it, or else the path of this one.
local function command()
  local called = arg[-1]
  if not called:find("/", 1, true) then return called end
  local own = fs.realpath(called)
  for folder in (process.env.PATH or ""):gmatch("[^:]+") do
    if own and fs.realpath(folder .. "/luaserve") == own then return "luaserve" end
  end
  local path = called:find("^/") and called or "../" .. called:gsub("^%./", "")
  return path:find("[^%w_./+-]") and "'" .. path:gsub("'", "'\\''") .. "'" or path
end

local function create(name)
  local made, message = make_folder(name)
  if not made then return fail(FAILED, message) end
  for i, file in ipairs(files) do
    local written, problem = write(name, file)
    if not written then
      return fail(FAILED, ("%s\nluaserve: %d of %d files were written to '%s'"):format(problem, i - 1, #files, name))
    end
    print(("%s/%s"):format(name, file.path))
  end
  print(("\n  cd %s\n  %s --dev app.lua"):format(name, command()))
  return DONE
end

local function run(...)
  local name = ...
  if name == "--help" or name == "-h" then
    io.write(USAGE)
    return DONE
  elseif select("#", ...) ~= 1 then
    return fail(MISUSED, "new wants one name\nTry 'luaserve new --help'.")
  elseif not is_name(name) then
    return fail(MISUSED, ("'%s' is no name for an app: letters, digits, '-', '_' and '.', at most 100, no folders")
      :format((name:gsub("%c", "?"))))
  end
  return create(name)
end

return function(...)
  os.exit(run(...), true)
end
