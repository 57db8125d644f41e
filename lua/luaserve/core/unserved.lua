-- SPDX-License-Identifier: MIT
--- How many apps of this Lua state were made, and neither served nor mounted nor asked for a path: those of a script
-- that ends without returning its app. A number, since a script's locals may have been collected when it is asked for.
-- @module luaserve.core.unserved

local served = setmetatable({}, { __mode = "k" })

local unserved = { count = 0 }

--- An app was made.
function unserved.add()
  unserved.count = unserved.count + 1
end

--- The app is used.
function unserved.remove(app)
  if served[app] then return end
  served[app] = true
  unserved.count = unserved.count - 1
end

return unserved
