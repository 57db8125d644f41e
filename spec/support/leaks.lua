-- SPDX-License-Identifier: MIT
--- What a spec file opens it closes: busted loads this first (.busted), and a file that ends with more handles,
-- descriptors, tasks, timers or callback operations than it began with is an error.
--
-- What a file has let go of may need some turns of the loop to be gone, such as the server's end of a connection. Those
-- it gets, for about two seconds; there is no other tolerance. What the process opens once and keeps is opened before
-- the first file, in warm_up.

local busted = require "busted"
local lfs = require "lfs"
local http, net = require "luaserve.http", require "luaserve.net"
local runtime, timer = require "luaserve.runtime", require "luaserve.timer"

local LAST_PAUSE = 1 -- seconds; they double, so that all together take two
local DESCRIPTORS = "/proc/self/fd"

-- ---- counting ----

-- What each descriptor is: "socket:[4711]", "/etc/hosts". The one that reads the folder is closed before the links are
-- read.
local function read_descriptors()
  local names, open = {}, {}
  for name in lfs.dir(DESCRIPTORS) do
    names[#names + 1] = name
  end
  for _, name in ipairs(names) do
    local target = name:find("^%d") and lfs.symlinkattributes(DESCRIPTORS .. "/" .. name, "target")
    if target then open[name] = target end
  end
  return open
end

local function size(set)
  local count = 0
  for _ in pairs(set) do
    count = count + 1
  end
  return count
end

-- { counts = { ["tcp handles"] = 2, descriptors = 9, ... }, descriptors = as above }
local function measure()
  local stats, descriptors = runtime.stats(), read_descriptors()
  local counts = {
    ["callback operations"] = stats.operations,
    descriptors = size(descriptors),
    tasks = stats.tasks.live,
    timers = stats.timers,
  }
  for type, count in pairs(stats.handles.types) do
    counts[type .. " handles"] = count
  end
  return { counts = counts, descriptors = descriptors }
end

local function collect()
  collectgarbage()
  collectgarbage() -- what the first one's finalizers let go of
  timer.sleep(0)   -- a turn or more: closed handles are gone
end

-- ---- comparing ----

local function new_descriptors(before, after)
  local list = {}
  for name, target in pairs(after) do
    if before[name] ~= target then list[#list + 1] = name .. " " .. target end
  end
  table.sort(list)
  return table.concat(list, ", ")
end

-- "1 more tcp handles (3, not 2); ..."; nil when there is no more of anything.
local function difference(before, after)
  local list = {}
  for name, count in pairs(after.counts) do
    local had = before.counts[name] or 0
    if count > had then
      local which = name == "descriptors" and ": " .. new_descriptors(before.descriptors, after.descriptors) or ""
      list[#list + 1] = ("%d more %s (%d, not %d)%s"):format(count - had, name, count, had, which)
    end
  end
  table.sort(list)
  return list[1] and table.concat(list, "; ")
end

-- What there still is more of than before when patience has ended, or nil.
local function left_since(before)
  local pause = 0.001
  repeat
    collect()
    local left = difference(before, measure())
    if not left or pause > LAST_PAUSE then return left end
    timer.sleep(pause)
    pause = 2 * pause
  until false
end

-- ---- the files ----

-- The first listener's signals (SIGINT, SIGTERM) with libuv's pipe for them, and the /dev/null that libuv keeps from
-- its first stream on.
local function warm_up()
  local server = http.create_server(function() end)
  assert(server:listen { host = "127.0.0.1", port = 0 })
  assert(net.connect(server:address())):close()
  server:close()
  repeat collect() until not runtime.stats().handles.types.tcp
end

local before

busted.subscribe({ "file", "start" }, function()
  if not before then warm_up() end
  collect()
  before = measure()
  return nil, true -- for the other subscribers too
end)

busted.subscribe({ "file", "end" }, function(file)
  local left = before and left_since(before)
  if left then error(file.name .. " leaves " .. left, 0) end -- busted reports it as an error of the file
  return nil, true
end)
