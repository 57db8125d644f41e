-- SPDX-License-Identifier: MIT
--- What --dev adds to a program: its files are watched; and a line in the log for each place where a request calls a
-- function of Lua's own libraries that holds up all requests, with the function to use instead.

require "luaserve.development.sources"

local blocking = require "luaserve.check.blocking"
local log = require "luaserve.core.log"
local in_request = require "luaserve.core.task".in_request

local PLACES_MAX = 1000 -- that are remembered, and so told

local told, count = {}, 0

local function tell(name, advice)
  local caller = debug.getinfo(3, "Sl")
  local place = ("%s %s:%d"):format(name, caller.short_src, caller.currentline)
  if told[place] or count == PLACES_MAX then return end
  told[place] = true
  count = count + 1
  log.warn(debug.traceback(("%s holds up all requests while it runs: %s"):format(name, advice), 3))
end

local function watch(library, key, name, advice)
  local original = library[key]
  library[key] = function(...)
    if in_request() then tell(name, advice) end
    return original(...)
  end
end

for name, advice in pairs(blocking) do
  local library, key = name:match("^([io][os])%.(%w+)$")
  if library and advice then
    watch(_G[library], key, name, advice)
  elseif advice and name:find("^%a+file$") then
    watch(_G, name, name, advice)
  end
end
