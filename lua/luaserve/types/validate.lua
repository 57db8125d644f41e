---@meta luaserve.validate
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.validate" returns. docs/api/validate.md tells more.

---@class luaserve.validate.error
---@field pointer string where: "/items/0/name"
---@field detail string what is wrong

---@class luaserve.schema
---@field type string
---@overload fun(value: any, options?: { coerce: boolean?, from_json: boolean? }): any, luaserve.validate.error[]?

---@class luaserve.validate.options
---@field optional? boolean it may be absent
---@field default? any it may be absent, and is this then
---@field nullable? boolean json.null is good too
---@field check? fun(value: any): boolean?, string?
---@field description? string

---@class luaserve.validate.string_options: luaserve.validate.options
---@field min? integer characters
---@field max? integer
---@field length? integer
---@field pattern? string of Lua
---@field format? "date"|"date-time"|"email"|"hostname"|"ipv4"|"ipv6"|"time"|"uri"|"url"|"uuid"
---@field trim? boolean
---@field bytes? boolean any bytes, counted as such

---@class luaserve.validate.number_options: luaserve.validate.options
---@field min? number
---@field max? number

---@class luaserve.validate.array_options: luaserve.validate.options
---@field min? integer items
---@field max? integer
---@field length? integer
---@field unique? boolean

---@class luaserve.validate.object_options: luaserve.validate.options
---@field unknown? "refuse"|"strip"|"keep" default "refuse"

---@class luaserve.validate
local validate = {}

---A string of UTF-8.
---@param options? luaserve.validate.string_options
---@return luaserve.schema
function validate.string(options) end

---An integer.
---@param options? luaserve.validate.number_options
---@return luaserve.schema
function validate.integer(options) end

---A finite number.
---@param options? luaserve.validate.number_options
---@return luaserve.schema
function validate.number(options) end

---true or false.
---@param options? luaserve.validate.options
---@return luaserve.schema
function validate.boolean(options) end

---One of these values.
---@param values (string|number|boolean)[]
---@param options? luaserve.validate.options
---@return luaserve.schema
function validate.enum(values, options) end

---Anything but nil.
---@param options? luaserve.validate.options
---@return luaserve.schema
function validate.any(options) end

---A list of such items.
---@param items luaserve.schema
---@param options? luaserve.validate.array_options
---@return luaserve.schema
function validate.array(items, options) end

---A table with these fields.
---@param fields table<string, luaserve.schema>
---@param options? luaserve.validate.object_options
---@return luaserve.schema
function validate.object(fields, options) end

---The schema that fn gives, for those that contain themselves.
---@param fn fun(): luaserve.schema
---@param options? luaserve.validate.options
---@return luaserve.schema
function validate.lazy(fn, options) end

---The same schema for what may be absent.
---@param schema luaserve.schema
---@return luaserve.schema
function validate.optional(schema) end

---What is wrong, by the names of fields: the first of each. "" is the whole.
---@param errors luaserve.validate.error[]
---@return table<string, string>
function validate.by_name(errors) end

---Whether value is a schema.
---@param value any
---@return boolean
function validate.is(value) end

return validate
