---@meta luaserve
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve" returns. docs/api/README.md tells more.

---All modules by name, each loaded when it is first used.
---@class luaserve
---@field app luaserve.app_module
---@field cookie luaserve.cookie
---@field crypto luaserve.crypto
---@field dns luaserve.dns
---@field fs luaserve.fs
---@field http luaserve.http
---@field http_error luaserve.http_error_module
---@field json luaserve.json
---@field jwt luaserve.jwt
---@field middleware luaserve.middleware
---@field multipart luaserve.multipart
---@field net luaserve.net
---@field pool luaserve.pool
---@field process luaserve.process
---@field runtime luaserve.runtime
---@field shared luaserve.shared
---@field task luaserve.task_module
---@field template luaserve.template_module
---@field test luaserve.test
---@field timer luaserve.timer_module
---@field url luaserve.url
---@field validate luaserve.validate
---@field worker luaserve.worker_module
local luaserve = {}

return luaserve
