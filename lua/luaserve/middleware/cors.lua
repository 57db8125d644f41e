-- SPDX-License-Identifier: MIT
--- Cross-origin resource sharing (the Fetch standard, 3.2): which pages of other origins may read what this server
-- answers. It keeps no request away; it tells browsers what their pages may see.

local option = require "luaserve.core.option"
local options_of = require "luaserve.core.options"

local WHAT = "middleware.cors"
local KNOWN = { "credentials", "exposed", "headers", "max_age", "methods", "origins" }

--- A list of names as a field's value; nil stays nil.
local function list_option(options, name, default)
  local value = option(options, WHAT, name, "header value|table", default, 3)
  if type(value) ~= "table" then return value end
  for _, item in ipairs(value) do
    if type(item) ~= "string" or not item:find("^[%w!#$%%&'*+.^_`|~-]+$") then
      error(("%s: option '%s' is a list of names, not of '%s'"):format(WHAT, name, tostring(item)), 3)
    end
  end
  return #value > 0 and table.concat(value, ", ") or nil
end

--- A function that says whether an origin is one of these.
local function matcher_of(origins)
  if type(origins) == "string" then origins = { origins } end
  if type(origins) ~= "table" or (getmetatable(origins) or {}).__call then return origins end
  local set = {}
  for _, origin in ipairs(origins) do
    if type(origin) ~= "string" or not (origin == "null" or origin:find("^[%w+.-]+://[^/]+$")) then
      error(("%s: an origin is scheme://host or scheme://host:port, not '%s'"):format(WHAT, tostring(origin)), 3)
    end
    set[origin:lower()] = true
  end
  return function(origin) return set[origin:lower()] end
end

--- What a browser asked to send, as far as it can be the names of header fields.
local function requested_headers(req)
  local wanted = req.headers["access-control-request-headers"]
  return wanted and wanted:find("^[%w!#$%%&'*+.^_`|~, -]+$") and wanted or nil
end

--- A middleware that answers preflights, and says in other responses who may read them.
-- @param options origins (needed): "*", an origin, a list of them, or a function (origin, req) that says whether;
-- credentials: false, or true: with cookies (not with "*"); methods; headers: which a page may send (those it asks
-- for); exposed: which fields of the response it may read; max_age: seconds for which a preflight is good (600)
-- @usage app:use("/api", middleware.cors { origins = { "https://app.example.org" }, credentials = true })
return function(options)
  options_of.check(options, WHAT, KNOWN)
  options = options or {}
  local origins = option(options, WHAT, "origins", "string|function|table")
  if not origins then error(WHAT .. ": option 'origins' is needed: who may read the answers", 2) end
  local credentials = option(options, WHAT, "credentials", "boolean", false)
  local everybody = origins == "*"
  if everybody and credentials then
    error(WHAT .. ": credentials are not for everybody: name the origins that may use them", 2)
  end
  local is_allowed = everybody and function() return true end or matcher_of(origins)
  local methods = list_option(options, "methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
  local headers = list_option(options, "headers")
  local exposed = list_option(options, "exposed")
  local max_age = option(options, WHAT, "max_age", "size|false", 600)

  local function allow(res, origin)
    res:set("access-control-allow-origin", everybody and "*" or origin)
    if credentials then res:set("access-control-allow-credentials", "true") end
  end

  local function answer_preflight(req, res, origin)
    res:add("vary", "origin, access-control-request-method, access-control-request-headers")
    if is_allowed(origin, req) then
      allow(res, origin)
      local wanted = headers or requested_headers(req)
      if methods then res:set("access-control-allow-methods", methods) end
      if wanted then res:set("access-control-allow-headers", wanted) end
      if max_age then res:set("access-control-max-age", max_age) end
    end
    return res:send(204, nil)
  end

  return function(req, res, next)
    local origin = req.headers.origin
    if origin and req.method == "OPTIONS" and req.headers["access-control-request-method"] then
      return answer_preflight(req, res, origin)
    end
    if not everybody then res:add("vary", "origin") end -- also without one: caches must not mix the answers
    if origin and is_allowed(origin, req) then
      allow(res, origin)
      if exposed then res:set("access-control-expose-headers", exposed) end
    end
    return next()
  end
end
