---@meta luaserve.url
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.url" returns. docs/api/url.md tells more.

---A URL taken apart; tostring makes a URL of it.
---@class luaserve.url.parts
---@field scheme string
---@field username? string
---@field password? string
---@field host? string
---@field port? integer nil: the scheme's own
---@field path string
---@field query? string
---@field fragment? string
---@field opaque? boolean the path is one piece: mailto:x

---@class luaserve.url
local url = {}

---Takes a URL apart, as browsers do.
---@param text string
---@param base? string|luaserve.url.parts
---@return luaserve.url.parts? parts
---@return string? message
---@return string? code
function url.parse(text, base) end

---Where a link leads that stands in base.
---@param base string|luaserve.url.parts
---@param reference string
---@return string? url
---@return string? message
---@return string? code
function url.resolve(base, reference) end

---A URL of its parts; query may be a table for build_query. Raises for what cannot be a URL.
---@param parts table
---@return string url
function url.build(parts) end

---The pairs of a query: the first of each name, and all in order.
---@param text? string
---@return table<string, string> values
---@return string[][] pairs
function url.parse_query(text) end

---A query of { name = value or list of values }, or of { { name, value }, ... }.
---@param values table
---@return string
function url.build_query(values) end

---Percent-encodes everything but letters, digits and -._~
---@param text string
---@return string
function url.encode(text) end

---Decodes %XX.
---@param text string
---@return string
function url.decode(text) end

return url
