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

---@class luaserve.runtime.requests
---@field total integer that a handler was called for
---@field live integer those of them that are not over

---@class luaserve.runtime.loop_delay
---@field p50 number half of the turns took no longer, in seconds
---@field p99 number the same of 99 in 100
---@field max number the longest turn since the start
---@field count integer turns in which something ran

---@class luaserve.runtime.memory
---@field lua integer bytes that Lua holds
---@field resident integer bytes of the process that are in memory

---@class luaserve.runtime.collector
---@field cycles integer completed since the start
---@field full integer full collections among them
---@field full_total number seconds that these took together
---@field full_max number seconds that the longest took

---@class luaserve.runtime.stats
---@field handles luaserve.runtime.handles
---@field tasks luaserve.runtime.tasks
---@field operations integer what will call a callback
---@field timers integer points in time that something waits for
---@field requests luaserve.runtime.requests
---@field loop_delay luaserve.runtime.loop_delay how long turns of the loop took
---@field memory luaserve.runtime.memory
---@field collector luaserve.runtime.collector
---@field pool luaserve.pool.stats the process's
---@field task_errors integer since the start, of tasks that nobody joined
---@field watchdog { slow: integer, stopped: integer } since the start: what held the loop over --slow-limit, and over --cpu-limit

---What is open, running and waiting right now, and how long the loop was held up.
---@return luaserve.runtime.stats
function runtime.stats() end

return runtime
