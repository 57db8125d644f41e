---@meta
-- SPDX-License-Identifier: MIT
-- For editors: what the modules share. docs/api/README.md tells more.

---What a call with a callback returns: it will call back.
---@class luaserve.operation
local operation = {}

---Takes it back: the callback is not called. false: it had ended already.
---@return boolean
function operation:cancel() end
