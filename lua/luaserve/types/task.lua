---@meta luaserve.task
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.task" returns. docs/api/task.md tells more.

---@class luaserve.task_module
local task = {}

---Runs fn(...) as a task of its own, which starts when the caller next waits or returns.
---@param fn function
---@param ... any
---@return luaserve.task
function task.spawn(fn, ...) end

---As spawn, but the task belongs to the program and not to the request that started it.
---@param fn function
---@param ... any
---@return luaserve.task
function task.background(fn, ...) end

---The running task where it was spawned; nil in a request's own task, in callbacks and in the main chunk.
---@return luaserve.task?
function task.current() end

---Values of the request that the running code belongs to, the same table as req.locals: in its handler and in the tasks
---and callbacks that it started. Outside of requests, and in background, the program's.
---@return table
function task.locals() end

---Whether an async function can wait at this place.
---@return boolean
function task.can_await() end

---Calls fn(...); a cancellation that comes meanwhile is delivered after it.
---@async
---@param fn function
---@param ... any
---@return any ... what fn returned
function task.shield(fn, ...) end

---Calls fn(...) when the running task ends, on every way out; the last one first.
---@param fn function
---@param ... any
function task.defer(fn, ...) end

---Runs functions at the same time and gives the first result of each, in order. The first error is raised.
---@async
---@param ... function
---@return any ...
---@overload fun(functions: function[]): any[]
function task.all(...) end

---Runs functions at the same time and gives the results of the first that succeeds; the others are cancelled.
---@async
---@param ... function
---@return any ...
---@overload fun(functions: function[]): any
function task.any(...) end

---Runs fn(...) for at most so many seconds.
---@async
---@param seconds number
---@param fn function
---@param ... any
---@return any ... what fn returned; or nil, message, "ETIMEDOUT"
function task.timeout(seconds, fn, ...) end

---Tasks that cannot outlive a block: `local group <close> = task.group()`.
---@return luaserve.group
function task.group() end

---At most so many at once.
---@param permits integer 1 or more
---@return luaserve.semaphore
function task.semaphore(permits) end

---A queue between tasks.
---@param capacity? integer 1 or more; default 1
---@return luaserve.channel
function task.channel(capacity) end

---What spawn returns.
---@class luaserve.task
local handle = {}

---Waits for its end, and gives what its function returned or raises its error.
---@async
---@param callback? function
---@return any ...
function handle:join(callback) end

---Ends it: what it waits for is cancelled. Whether it was still running.
---@return boolean
function handle:cancel() end

---@return "running"|"waiting"|"done"|"failed"|"cancelled"
function handle:status() end

---What group returns.
---@class luaserve.group
local group = {}

---Starts fn(...) in the group.
---@param fn function
---@param ... any
---@return luaserve.task
function group:spawn(fn, ...) end

---Waits until all have ended. The first error cancels the others, and is raised.
---@async
function group:wait() end

---Cancels what still runs and waits for its end.
---@async
function group:close() end

---What semaphore returns.
---@class luaserve.semaphore
local semaphore = {}

---Takes a permit; waits for one, first come, first served.
---@async
function semaphore:acquire() end

---Takes a permit if there is one. Whether there was.
---@return boolean
function semaphore:try_acquire() end

---Gives a permit back.
function semaphore:release() end

---Calls fn(...) with a permit, which goes back on every way out.
---@async
---@param fn function
---@param ... any
---@return any ... what fn returned
function semaphore:with(fn, ...) end

---What channel returns.
---@class luaserve.channel
local channel = {}

---Leaves a value as soon as there is room.
---@async
---@param value any not nil
---@return true? done
---@return string? message
---@return "ECLOSED"? code
function channel:send(value) end

---The oldest value; nil, message, "ECLOSED" when the channel is closed and empty.
---@async
---@return any value
---@return string? message
---@return "ECLOSED"? code
function channel:receive() end

---Iterates over the values until the channel is closed and empty.
---@return fun(): any
function channel:each() end

---No more values; what is in it can still be received.
function channel:close() end

return task
