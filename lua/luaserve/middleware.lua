-- SPDX-License-Identifier: MIT
--- The middleware that comes with luaserve: functions that return one, `app:use(middleware.cors { ... })`. Each stands
-- in a module of its own, `luaserve.middleware.cors`, which is loaded when it is first named.
-- @module luaserve.middleware

local names = {
  "access_log", "basic_auth", "bearer_auth", "body_limit", "compress", "cors", "csrf", "error_pages", "etag",
  "rate_limit", "request_id", "security_headers", "session", "static", "timeout",
}

local known = {}
for _, name in ipairs(names) do known[name] = true end

return setmetatable({}, {
  __index = function(middleware, name)
    if not known[name] then
      error(("luaserve.middleware has no '%s'; it has %s"):format(tostring(name), table.concat(names, ", ")), 2)
    end
    local make = require("luaserve.middleware." .. name)
    rawset(middleware, name, make)
    return make
  end,
})
