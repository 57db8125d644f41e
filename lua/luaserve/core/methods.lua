-- SPDX-License-Identifier: MIT
--- Classes whose methods tell who called them with a dot, and which names they do not have.
-- @module luaserve.core.methods

local methods = {}

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
    mistake("an %s has no '%s'%s", what, name, meant[name] and ": " .. meant[name] or "")
  end })
end

return methods
