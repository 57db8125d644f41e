---@meta luaserve.timer
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.timer" returns. docs/api/timer.md tells more.

---@class luaserve.timer_module
local timer = {}

---Waits at least so long; other tasks run meanwhile.
---@async
---@param seconds number 0 to 2147483.647; less than a millisecond counts as one
---@param callback? fun(message?: string, done: true|string)
---@return true
---@overload fun(seconds: number, callback: fun(message?: string, done: true|string)): luaserve.operation
function timer.sleep(seconds, callback) end

---Calls fn(...) once, in a task of its own.
---@param seconds number
---@param fn function
---@param ... any
---@return luaserve.timer
function timer.after(seconds, fn, ...) end

---Calls fn(...) again and again, each time in a task of its own. Runs that were missed are skipped.
---@param seconds number
---@param fn function
---@param ... any
---@return luaserve.timer
function timer.every(seconds, fn, ...) end

---Calls fn(...) after the I/O of this turn of the loop; from within an immediate, in the next turn.
---@param fn function
---@param ... any
---@return luaserve.immediate
function timer.immediate(fn, ...) end

---Calls fn(...) when the current callback has returned to the loop, before anything else.
---@param fn function
---@param ... any
function timer.next_tick(fn, ...) end

---What after and every return.
---@class luaserve.timer
local handle = {}

---Whether it was still to run.
---@return boolean
function handle:cancel() end

---Starts it anew with its full delay, also when it has run or was cancelled.
---@return luaserve.timer
function handle:again() end

---It keeps the process alive (as at first).
---@return luaserve.timer
function handle:ref() end

---It does not keep the process alive.
---@return luaserve.timer
function handle:unref() end

---What immediate returns.
---@class luaserve.immediate
local immediate = {}

---Whether it was still to run. What has begun goes on.
---@return boolean
function immediate:cancel() end

return timer
