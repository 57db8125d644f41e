---@meta luaserve.template
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.template" returns. docs/api/template.md tells more.

---@class luaserve.template_module
local template = {}

---@class luaserve.template.options
---@field root? string the folder of the templates
---@field helpers? table<string, any> values that all templates see
---@field reload? boolean looks each time whether a file has changed; default false
---@field escape? boolean false: for what is no HTML; default true

---Templates in a folder.
---@param options luaserve.template.options
---@return luaserve.views
function template.new(options) end

---A template that is a string here.
---@param text string
---@param name? string what messages call it
---@param options? luaserve.template.options
---@return luaserve.template
function template.compile(text, name, options) end

---Text that is fit for HTML, and for values of attributes in quotes.
---@param text string|number
---@return string
function template.escape(text) end

---A text that is HTML already.
---@param text string
---@return table raw that templates print as it is
function template.raw(text) end

---A value as JSON that may stand in a script.
---@param value any
---@return string
function template.json(value) end

---@class luaserve.views
---@field root string
local views = {}

---A page: the template of this name with these values.
---@param name string "notes/list.html"
---@param values? table<string, any>
---@return string
function views:render(name, values) end

---Compiles all templates below the root whose names end so.
---@param ending? string default ".html"
---@return integer count
function views:compile_all(ending) end

---@class luaserve.template
---@overload fun(values?: table<string, any>): string
local page = {}

---The text that the template makes of these values.
---@param values? table<string, any>
---@return string
function page:render(values) end

return template
