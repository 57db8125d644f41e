-- SPDX-License-Identifier: MIT
--- `require "luaserve"`: all modules by name, each loaded when it is first used.
-- `local serve = require "luaserve"; serve.fs` is `require "luaserve.fs"`.

return setmetatable({}, {
  __index = function(modules, name)
    local module = require("luaserve." .. name)
    rawset(modules, name, module)
    return module
  end,
})
