---@meta luaserve.worker
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.worker" returns. docs/api/worker.md tells more.

---@class luaserve.worker_module
---@field parent? luaserve.parent in a worker: who has started it
local worker = {}

---@class luaserve.worker
local handle = {}

---@param ... any values, then perhaps a callback fun(message, code)
---@return true?
---@return string? message
---@return string? code
function handle:send(...) end

---@param callback? function
---@return any ...
function handle:receive(callback) end

---@param callback? function
---@return any ...
function handle:join(callback) end

---@return boolean was_running
function handle:terminate() end

---@return "running"|"done"|"failed"|"terminated"
function handle:status() end

---@return luaserve.worker
function handle:ref() end

---@return luaserve.worker
function handle:unref() end

---@class luaserve.parent
local parent = {}

---@param ... any values, then perhaps a callback fun(message, code)
---@return true?
---@return string? message
---@return string? code
function parent:send(...) end

---@param callback? function
---@return any ...
function parent:receive(callback) end

---@overload fun(file: string, ...: any): luaserve.worker?, string?, string?
---@param options { name?: string, memory_limit?: integer, ref?: boolean }
---@param file string
---@param ... any
---@return luaserve.worker?
---@return string? message
---@return string? code
function worker.start(options, file, ...) end

return worker
