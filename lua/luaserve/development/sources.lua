-- SPDX-License-Identifier: MIT
--- Tells which Lua files a program consists of, before each is read: what require, dofile and loadfile load. A module
-- that is nowhere is waited for wherever it is looked for.

local development = require "luaserve.core.development"

--- As a person would name it.
local function watch(path)
  development.watch((path:gsub("^%./", "")))
end

--- require: this searcher stands before Lua's own for files, finds nothing, and only tells what that will read.
local function tell_file(name)
  local path = package.searchpath(name, package.path)
  if path then watch(path) end
end

--- The last searcher: nobody has found the module.
local function tell_missing(name)
  local _, message = package.searchpath(name, package.path)
  for path in (message or ""):gmatch("no file '([^'\n]+)'") do watch(path) end
end

table.insert(package.searchers, 2, tell_file)
table.insert(package.searchers, tell_missing)

for _, name in ipairs { "dofile", "loadfile" } do
  local original = _G[name]
  _G[name] = function(path, ...)
    if type(path) == "string" then watch(path) end
    return original(path, ...)
  end
end
