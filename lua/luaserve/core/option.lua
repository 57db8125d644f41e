-- SPDX-License-Identifier: MIT
--- One option of a table that luaserve.core.options has checked: its value, of the right type, or its default.
-- @module luaserve.core.option

local checks = {
  boolean = function(value) return type(value) == "boolean" end,
  string = function(value) return type(value) == "string" end,
  ["function"] = function(value)
    if type(value) == "function" then return true end
    local metatable = getmetatable(value)
    return type(metatable) == "table" and metatable.__call ~= nil
  end,
  table = function(value) return type(value) == "table" end,
  ["false"] = function(value) return value == false end,
  size = function(value) return math.type(value) == "integer" and value >= 0 end,
  count = function(value) return math.type(value) == "integer" and value >= 1 end,
  seconds = function(value) return type(value) == "number" and value > 0 and value < math.huge end,
  ["header name"] = function(value) return type(value) == "string" and value:find("^[%w!#$%%&'*+.^_`|~-]+$") ~= nil end,
  ["header value"] = function(value) return type(value) == "string" and not value:find("[%c\127]") end,
}

local names = { size = "an integer of at least 0", count = "an integer of at least 1", seconds = "seconds, over 0",
  boolean = "true or false", string = "a string", ["function"] = "a function", table = "a table", ["false"] = "false",
  ["header name"] = "the name of a header field", ["header value"] = "the value of a header field" }

--- Describes kinds for an error: "a string or false".
local function describe(kinds)
  local list = {}
  for kind in kinds:gmatch("[^|]+") do list[#list + 1] = names[kind] end
  return table.concat(list, " or ")
end

--- The option's value; raises for one of another kind, at the line of who called the function that takes options.
-- @param options a table
-- @param what the function, for the error: "middleware.cors"
-- @param name the option
-- @param kinds "string", "boolean|table": of names above
-- @param default where it is not there
-- @param level as for error, counted from the function that calls this; 2: the caller of that is to blame
return function(options, what, name, kinds, default, level)
  local value = options[name]
  if value == nil then return default end
  for kind in kinds:gmatch("[^|]+") do
    if checks[kind](value) then return value end
  end
  error(("%s: option '%s' must be %s, not %s"):format(what, name, describe(kinds),
    type(value) == "number" and tostring(value) or "a " .. type(value)), (level or 2) + 1)
end
