-- SPDX-License-Identifier: MIT
---@meta luaserve.pool

---Lua code on the threads of the pool. See docs/api/pool.md.
---@class luaserve.pool
local pool = {}

---@class luaserve.pool.lane
---@field cap integer       # jobs that may run at once
---@field queued integer    # jobs that wait
---@field running integer
---@field done integer      # since the start
---@field wait_total number # seconds that all jobs together have waited for a thread
---@field wait_max number   # seconds, the longest of them
---@field wait_p50 number   # seconds, half of them not longer
---@field wait_p99 number   # seconds, all but one in a hundred not longer

---@class luaserve.pool.lanes
---@field files luaserve.pool.lane
---@field dns luaserve.pool.lane
---@field hashing luaserve.pool.lane
---@field user luaserve.pool.lane # jobs of pool.run and of modules in C

---@class luaserve.pool.stats
---@field threads integer
---@field lanes luaserve.pool.lanes
---@field total luaserve.pool.lane

---Async, no callback form. Runs fn(...), or the function of a module, on a thread of the pool, in a Lua state of its own.
---Arguments and results are copied; fn can use globals and no locals from outside it. Raises what the job raises.
---@overload fun(module: string, name: string, ...: any): ...: any
---@param fn fun(...: any): ...: any
---@param ... any
---@return any ...
function pool.run(fn, ...) end

---What the pool does now, and how long its jobs have waited.
---@return luaserve.pool.stats
function pool.stats() end

return pool
