---@meta luaserve.runtime
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.runtime" returns. docs/api/runtime.md tells more.

---@class luaserve.runtime
local runtime = {}

---@class luaserve.runtime.handles
---@field total integer what the event loop watches and nobody has closed
---@field active integer those of them that wait for something
---@field types table<string, integer> by type: "tcp", "pipe", "poll", "timer", "signal"; none of a type: absent

---@class luaserve.runtime.tasks
---@field live integer begun or about to, and not ended
---@field idle integer coroutines kept for the next tasks

---@class luaserve.runtime.stats
---@field handles luaserve.runtime.handles
---@field tasks luaserve.runtime.tasks
---@field operations integer what will call a callback
---@field timers integer points in time that something waits for
---@field memory { lua: integer } bytes
---@field pool luaserve.pool.stats the process's
---@field task_errors integer since the start, of tasks that nobody joined
---@field watchdog { slow: integer, stopped: integer } since the start: what held the loop over --slow-limit, and over --cpu-limit

---What is open, running and waiting right now.
---@return luaserve.runtime.stats
function runtime.stats() end

return runtime
