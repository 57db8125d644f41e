-- SPDX-License-Identifier: MIT
--- Schemas: what a value from outside has to be. A schema is a table that is called with a value and gives a copy of it
-- that has that form and nothing else, or the list of everything that is wrong with it.
-- @module luaserve.validate

local json = require "luaserve.json"
local options = require "luaserve.core.options"
local printable = require "luaserve.core.text".printable

local validate = {}

local find, match, sub = string.find, string.match, string.sub

local DEPTH_MAX = 64   -- of tables in tables, for schemas that contain themselves and for what any lets through
local ERRORS_MAX = 100 -- more are not looked for

-- ---- formats: each says whether a string is such; all in linear time ----

local formats = {}

--- A host name (RFC 1123 2.1): labels of letters, digits and hyphens.
function formats.hostname(text)
  if #text > 253 or text == "" then return false end
  for label in (text .. "."):gmatch "([^.]*)%." do
    if #label > 63 or not find(label, "^%w[%w-]*$") or sub(label, -1) == "-" then return false end
  end
  return true
end

--- An address as HTML's input type=email takes it, whose domain has a dot or not.
function formats.email(text)
  local at = find(text, "@", 1, true)
  return at ~= nil and #text <= 254 and at > 1 and at <= 65 and not find(sub(text, 1, at - 1),
    "[^%w.!#$%%&'*+/=?^_`{|}~-]") and
    formats.hostname(sub(text, at + 1))
end

function formats.uuid(text)
  return #text == 36 and find(text, "^%x+%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x+$") == 1 and sub(text, 9, 9) == "-"
end

local month_days = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

--- A day of the calendar, 2026-02-28 (RFC 3339 full-date).
function formats.date(text)
  local year, month, day = match(text, "^(%d%d%d%d)%-(%d%d)%-(%d%d)$")
  if not year then return false end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  local last = month == 2 and not leap and 28 or month_days[month]
  return last ~= nil and day >= 1 and day <= last
end

--- A time of the day, 23:59:59 or 23:59:59.123 (RFC 3339 partial-time).
function formats.time(text)
  local hour, minute, second, rest = match(text, "^(%d%d):(%d%d):(%d%d)(.*)$")
  return hour ~= nil and hour < "24" and minute < "60" and second < "61" and (rest == "" or find(rest,
    "^%.%d+$") ~= nil)
end

--- A moment, 2026-02-28T23:59:59Z or with +01:00 (RFC 3339 date-time).
formats["date-time"] = function(text)
  local date, time, zone = match(text, "^(.-)[Tt](%d[%d:.]*)(.*)$")
  if not date or not formats.date(date) or not formats.time(time) then return false end
  local hour, minute = match(zone, "^[+-](%d%d):(%d%d)$")
  return zone == "Z" or zone == "z" or hour ~= nil and hour < "24" and minute < "60"
end

function formats.ipv4(text)
  local count = 0
  if not find(text, "^%d[%d.]*%d$") or #text > 15 then return false end
  for part in (text .. "."):gmatch "([^.]*)%." do
    count = count + 1
    if #part > 3 or part == "" or find(part, "^0.") or tonumber(part) > 255 then return false end
  end
  return count == 4
end

function formats.ipv6(text)
  return #text <= 45 and find(text, "^[%x:.]+$") ~= nil and
    require "luaserve.url".parse("http://[" .. text .. "]/") ~= nil
end

--- An absolute URL of the web.
function formats.url(text)
  local parsed = not find(text, "[%c ]") and require "luaserve.url".parse(text)
  return parsed and (parsed.scheme == "http" or parsed.scheme == "https") and find(text, "^%a+://") ~= nil
end

--- An absolute URL of any scheme.
function formats.uri(text)
  return not find(text, "[%c ]") and require "luaserve.url".parse(text) ~= nil
end

local format_words = { email = "an e-mail address", uuid = "a UUID", date = "a date (2026-12-31)",
  time = "a time (23:59:59)", ["date-time"] = "a date and time (2026-12-31T23:59:59Z)", ipv4 = "an IPv4 address",
  ipv6 = "an IPv6 address", hostname = "a host name", url = "a URL (https://...)", uri = "an absolute URL" }

-- ---- the state of one validation ----

-- { errors, path = list of keys, depth, coerce }

local function pointer_of(path)
  local pieces = {}
  for i, key in ipairs(path) do
    pieces[i] = "/" .. printable(tostring(key)):gsub("~", "~0"):gsub("/", "~1")
  end
  return table.concat(pieces)
end

local function add_error(state, text, ...)
  if #state.errors < ERRORS_MAX then
    state.errors[#state.errors + 1] = { pointer = pointer_of(state.path), detail = text:format(...) }
  end
  return nil
end

local object_mt = getmetatable(json.object())

local words = { string = "a string", number = "a number", boolean = "a boolean", table = "an object" }

--- What a value is: "a string", "null".
local function words_of(value)
  if value == json.null then return "null" end
  if getmetatable(value) == json.array_mt then return "an array" end
  return words[type(value)] or "a " .. type(value)
end

--- from_json: a table without the mark of arrays was an object there, an empty one too.
local function is_array(value, from_json)
  if type(value) ~= "table" then return false end
  local metatable = getmetatable(value)
  if metatable == json.array_mt then return true end
  return not from_json and metatable ~= object_mt and (value[1] ~= nil or next(value) == nil)
end

local run

--- Runs the schema on what is under key; errors have that in their path.
local function descend(state, schema, value, key)
  state.path[#state.path + 1] = key
  local result = run(state, schema, value)
  state.path[#state.path] = nil
  return result
end

-- ---- the types: each gives the value as it should be, or nil after it has added an error ----

local checks = {}

local function check_range(state, schema, value)
  if schema.min and value < schema.min then return add_error(state, "must be at least %s", schema.min) end
  if schema.max and value > schema.max then return add_error(state, "must be at most %s", schema.max) end
  return value
end

--- min, max and length of what has a count of something.
local function check_count(state, schema, count, one, many)
  local function say(text, n) return add_error(state, "must have %s %d %s", text, n, n == 1 and one or many) end
  if schema.length and count ~= schema.length then return say("exactly", schema.length) end
  if schema.min and count < schema.min then return say("at least", schema.min) end
  if schema.max and count > schema.max then return say("at most", schema.max) end
  return true
end

local function trim(text)
  local last = #text
  while last > 0 and find(text, "^%s", last) do last = last - 1 end
  return sub(text, match(text, "^%s*()"), last)
end

function checks.string(state, schema, value)
  if type(value) ~= "string" then return add_error(state, "must be a string, not %s", words_of(value)) end
  if schema.trim then value = trim(value) end
  local count = schema.bytes and #value or utf8.len(value)
  if not count then return add_error(state, "must be UTF-8") end
  local one, many = "character", "characters"
  if schema.bytes then one, many = "byte", "bytes" end
  if not check_count(state, schema, count, one, many) then return nil end
  if schema.pattern and not find(value, schema.pattern) then return add_error(state,
    "has not the form that is wanted") end
  if schema.format and not formats[schema.format](value) then
    return add_error(state, "must be %s", format_words[schema.format])
  end
  return value
end

function checks.integer(state, schema, value)
  if state.coerce and type(value) == "string" and #value <= 20 and find(value, "^[+-]?%d+$") then
    value = math.tointeger(tonumber((value:gsub("^%+", "")))) or value
  end
  local integer = type(value) == "number" and math.tointeger(value)
  if not integer then
    return add_error(state, type(value) == "number" and "must be an integer" or "must be an integer, not %s",
      words_of(value))
  end
  return check_range(state, schema, integer)
end

function checks.number(state, schema, value)
  if state.coerce and type(value) == "string" and #value <= 64 and
    (find(value, "^[+-]?%d+%.?%d*$") or find(value, "^[+-]?%d+%.?%d*[eE][+-]?%d+$")) then
    value = tonumber((value:gsub("^%+", "")))
  end
  if type(value) ~= "number" then return add_error(state, "must be a number, not %s", words_of(value)) end
  if value ~= value or value == math.huge or value == -math.huge then return add_error(state,
    "must be a finite number") end
  return check_range(state, schema, value)
end

local booleans = { ["true"] = true, ["1"] = true, on = true, ["false"] = false, ["0"] = false, off = false }

function checks.boolean(state, _, value)
  if state.coerce and booleans[value] ~= nil then value = booleans[value] end
  if type(value) ~= "boolean" then return add_error(state, "must be true or false, not %s", words_of(value)) end
  return value
end

function checks.enum(state, schema, value)
  for _, allowed in ipairs(schema.values) do
    local coerced = state.coerce and type(allowed) == "number" and value == tostring(allowed)
    if value == allowed or coerced then return allowed end
  end
  return add_error(state, "must be one of %s", schema.words)
end

--- A copy of what any lets through, so that the input is never part of the result.
local function copy(state, value, depth)
  if type(value) ~= "table" or value == json.null then return value end
  if state.too_deep then return nil end
  if depth > DEPTH_MAX then
    state.too_deep = true
    return add_error(state, "is nested too deeply")
  end
  local result = setmetatable({}, getmetatable(value) == json.array_mt and json.array_mt or nil)
  for key, inner in next, value do result[key] = copy(state, inner, depth + 1) end
  return result
end

function checks.any(state, _, value)
  return copy(state, value, state.depth)
end

function checks.array(state, schema, value)
  if state.coerce and type(value) == "string" then value = { value } end
  if not is_array(value, state.from_json) then return add_error(state, "must be an array, not %s", words_of(value)) end
  local count = #value
  if not check_count(state, schema, count, "item", "items") then return nil end
  local result, seen = json.array(), {}
  for i = 1, count do
    local item = descend(state, schema.items, value[i], i - 1)
    if schema.unique and item ~= nil and seen[item] then
      state.path[#state.path + 1] = i - 1
      add_error(state, "is there twice")
      state.path[#state.path] = nil
    elseif item ~= nil then
      seen[item] = true
    end
    result[i] = item
    if #state.errors >= ERRORS_MAX then break end
  end
  return result
end

local function keep_unknown(state, schema, value, result)
  for name, inner in next, value do
    if schema.fields[name] == nil then result[name] = copy(state, inner, state.depth) end
  end
end

--- What is in value but not in the schema; no more is sorted than is told.
local function refuse_unknown(state, schema, value)
  local names = {}
  for name in next, value do
    if schema.fields[name] == nil then names[#names + 1] = name end
    if #names == ERRORS_MAX then break end
  end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(names) do
    state.path[#state.path + 1] = name
    add_error(state, "is not known")
    state.path[#state.path] = nil
  end
end

function checks.object(state, schema, value)
  if type(value) ~= "table" or value == json.null or getmetatable(value) == json.array_mt then
    return add_error(state, "must be an object, not %s", words_of(value))
  end
  local result = {}
  for _, name in ipairs(schema.names) do
    result[name] = descend(state, schema.fields[name], rawget(value, name), name)
  end
  if schema.unknown == "keep" then
    keep_unknown(state, schema, value, result)
  elseif schema.unknown ~= "strip" then
    refuse_unknown(state, schema, value)
  end
  return result
end

function checks.lazy(state, schema, value)
  return run(state, schema.of(), value)
end

--- Whether a field of a form that was left empty is meant to be absent: what cannot be "" otherwise.
local function is_left_empty(schema, value)
  if value ~= "" then return false end
  return schema.type ~= "string" and schema.type ~= "any" or schema.format ~= nil or schema.pattern ~= nil or
    (schema.min or schema.length or 0) > 0
end

--- The program's own word on a value that is right otherwise.
local function check_custom(state, schema, value)
  local ok, message = schema.check(value)
  if ok then return value end
  return add_error(state, "%s", message or "is not valid")
end

--- A list stays one, so that an empty one is JSON's [] too.
local function default_of(state, schema)
  local value = copy(state, schema.default, 0)
  return schema.type == "array" and type(value) == "table" and json.array(value) or value
end

function run(state, schema, value)
  local absent = value == nil or state.coerce and schema.optional and is_left_empty(schema, value)
  if absent then
    if schema.default ~= nil then return default_of(state, schema) end
    return not schema.optional and add_error(state, "is missing") or nil
  end
  if value == json.null and schema.nullable then return value end
  if state.depth >= DEPTH_MAX then return add_error(state, "is nested too deeply") end
  local before = #state.errors
  state.depth = state.depth + 1
  value = checks[schema.type](state, schema, value)
  state.depth = state.depth - 1
  if value ~= nil and schema.check and #state.errors == before then value = check_custom(state, schema, value) end
  return value
end

-- ---- schemas ----

local Schema = {}
Schema.__index = Schema
Schema.__name = "luaserve.schema"

local call_options = { "coerce", "from_json" }

--- schema(value [, options]) -> a copy of value as the schema says it, with defaults; or nil, errors: a list of
-- { pointer = "/items/0/name" (RFC 6901), detail = "must be a string, not null" }.
-- coerce: strings become numbers and booleans where these are wanted, for what comes from forms and queries.
-- from_json: only what json.decode has marked is an array: an empty table was an object.
function Schema:__call(value, given)
  options.check(given, "schema", call_options)
  local state = { errors = {}, path = {}, depth = 0, coerce = given and given.coerce or false,
    from_json = given and given.from_json or false }
  local result = run(state, self, value)
  if #state.errors > 0 then return nil, state.errors end
  return result
end

function Schema:__tostring()
  return "schema: " .. self.type
end

--- By name: a module that was loaded again (specs do that) knows the schemas of before.
local function is_schema(value)
  local meta = type(value) == "table" and getmetatable(value)
  return type(meta) == "table" and meta.__name == Schema.__name
end

--- What is wrong, by the names of fields, for pages that show it where it is: the first detail of each. Inside of lists
-- and objects the name is a path, and "" stands for the whole.
-- @param errors what a schema has given
-- @return { name = detail }
-- @usage local valid, errors = schema(form); if not valid then show(form, validate.by_name(errors)) end
function validate.by_name(errors)
  local details = {}
  for _, err in ipairs(errors) do
    local name = sub(err.pointer, 2)
    details[name] = details[name] or err.detail
  end
  return details
end

--- Whether value is a schema.
function validate.is(value)
  return is_schema(value)
end

local common = { "check", "default", "description", "nullable", "optional" }

local function check_option(what, name, value, kind)
  if value ~= nil and type(value) ~= kind then
    error(("validate.%s: %s cannot be a %s"):format(what, name, type(value)), 4)
  end
end

--- A schema of this type with the options given, which may be those of names and the common ones.
local function new_schema(kind, given, names, fixed)
  options.check(given, "validate." .. kind, table.move(common, 1, #common, #names + 1, { table.unpack(names) }), 3)
  local schema = { type = kind }
  for name, value in next, given or {} do schema[name] = value end
  for _, name in ipairs { "min", "max", "length" } do check_option(kind, name, schema[name], "number") end
  for _, name in ipairs { "optional", "nullable", "trim", "unique", "bytes" } do
    check_option(kind, name, schema[name], "boolean")
  end
  check_option(kind, "pattern", schema.pattern, "string")
  check_option(kind, "check", schema.check, "function")
  if schema.default ~= nil then schema.optional = true end
  for name, value in next, fixed or {} do schema[name] = value end
  return setmetatable(schema, Schema)
end

local format_names = {}
for name in pairs(formats) do format_names[#format_names + 1] = name end
table.sort(format_names)

--- A string of UTF-8.
-- @param given min, max, length: characters; pattern: of Lua, to be found in it ("^...$": all of it); format: date,
-- date-time, email, hostname, ipv4, ipv6, time, uri, url or uuid; trim: white space around it is taken off before;
-- bytes: it may be any bytes, which are counted instead. And, as everywhere: optional; default; nullable: json.null is
-- good too; check(value) -> true, or false and what is wrong with it; description
-- @usage local name = validate.string { min = 1, max = 80, trim = true }
function validate.string(given)
  local schema = new_schema("string", given, { "bytes", "format", "length", "max", "min", "pattern", "trim" })
  if schema.format ~= nil and not formats[schema.format] then
    error(("validate.string: unknown format '%s' (there are %s)"):format(tostring(schema.format),
      table.concat(format_names, ", ")), 2)
  end
  return schema
end

--- An integer; 5.0 is one too, and becomes 5.
-- @param given min, max
-- @usage local port = validate.integer { min = 1, max = 65535, default = 8080 }
function validate.integer(given)
  return (new_schema("integer", given, { "max", "min" }))
end

--- A finite number.
-- @param given min, max
function validate.number(given)
  return (new_schema("number", given, { "max", "min" }))
end

--- true or false.
function validate.boolean(given)
  return (new_schema("boolean", given, {}))
end

--- Anything but nil; tables are copied.
function validate.any(given)
  return (new_schema("any", given, {}))
end

--- One of these values: strings, numbers, booleans.
-- @usage local size = validate.enum { "small", "large" }
function validate.enum(values, given)
  if type(values) ~= "table" or #values == 0 then error("validate.enum: a list of values is needed", 2) end
  local list = {}
  for i, value in ipairs(values) do list[i] = type(value) == "string" and ("%q"):format(value) or tostring(value) end
  return (new_schema("enum", given, {}, { values = values, words = table.concat(list, ", ") }))
end

--- A list, each of whose items is as the schema items says.
-- @param given min, max, length: how many; unique: none is there twice
-- @usage local tags = validate.array(validate.string { max = 20 }, { max = 10, unique = true })
function validate.array(items, given)
  if not is_schema(items) then error("validate.array: the schema of its items is needed", 2) end
  return (new_schema("array", given, { "length", "max", "min", "unique" }, { items = items }))
end

local unknown_modes = { refuse = true, strip = true, keep = true }

--- A table with these fields.
-- @param fields { name = schema }
-- @param given unknown: what becomes of other fields: "refuse" (the default: each is an error), "strip" or "keep"
-- @usage local user = validate.object { name = validate.string { min = 1 }, age = validate.integer { optional = true }}
function validate.object(fields, given)
  if type(fields) ~= "table" then error("validate.object: a table of fields is needed", 2) end
  local names = {}
  for name, schema in next, fields do
    if type(name) ~= "string" or not is_schema(schema) then
      error(("validate.object: the field %s is no schema"):format(tostring(name)), 2)
    end
    names[#names + 1] = name
  end
  table.sort(names)
  local schema = new_schema("object", given, { "unknown" }, { fields = fields, names = names })
  if schema.unknown ~= nil and not unknown_modes[schema.unknown] then
    error("validate.object: unknown is \"refuse\", \"strip\" or \"keep\"", 2)
  end
  return schema
end

--- What fn gives when it is needed: for schemas that contain themselves.
-- @usage local tree; tree = validate.object { children = validate.array(validate.lazy(function() return tree end)) }
function validate.lazy(fn, given)
  if type(fn) ~= "function" then error("validate.lazy: a function is needed", 2) end
  return (new_schema("lazy", given, {}, { of = fn }))
end

--- The same schema for what may be absent.
-- @usage local age = validate.optional(validate.integer())
function validate.optional(schema)
  if not is_schema(schema) then error("validate.optional: a schema is needed", 2) end
  local result = {}
  for name, value in next, schema do result[name] = value end
  result.optional = true
  return setmetatable(result, Schema)
end

return validate
