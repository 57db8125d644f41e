-- SPDX-License-Identifier: MIT
--- Classes whose methods tell who called them with a dot, and which names they do not have.
-- @module luaserve.core.methods

local options = require "luaserve.core.options"

local methods = {}

--- The method of the class that was probably meant, as the end of a message, or "". Names may come in camelCase.
local function guess(class, name)
  local names = {}
  for method in pairs(class) do
    if method:byte() ~= 95 then names[#names + 1] = method end
  end
  local near = options.nearest(options.snake_case(name) or name, names)
  return near and (" (did you mean '%s'?)"):format(near) or ""
end

--- The methods look first whether they were called with a colon. Names that begin with _ are the class's own.
-- @param class the metatable of its objects, and its __index
-- @param other another class whose objects have these methods too
-- @param what "app": "app:get(...)"
-- @param meant { name = what to write instead }, for names that are not there
-- @param mistake a function (format, ...) that raises at the caller's line
function methods.guard(class, other, what, meant, mistake)
  for name, method in pairs(class) do
    if type(method) == "function" and name:byte() ~= 95 then
      class[name] = function(self, ...)
        local metatable = getmetatable(self)
        if metatable ~= class and metatable ~= other then
          mistake("'%s' is a method: %s:%s(...), with a colon, not %s.%s(...)", name, what, name, what, name)
        end
        return method(self, ...)
      end
    end
  end
  setmetatable(class, { __index = function(_, name)
    if type(name) ~= "string" or name:byte() == 95 then return nil end
    mistake("an %s has no '%s'%s", what, name, meant[name] and ": " .. meant[name] or guess(class, name))
  end })
end

return methods
