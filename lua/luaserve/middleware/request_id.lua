-- SPDX-License-Identifier: MIT
--- A name for each request, to find it again in logs: in req.locals.request_id and in a field of the response.

local crypto = require "luaserve.crypto"
local option = require "luaserve.core.option"
local options_of = require "luaserve.core.options"

local WHAT = "middleware.request_id"
local KNOWN = { "accept", "generate", "header" }
local LENGTH_MAX = 128

--- Whether what a client or a proxy has sent can be a name: nothing that a log or a page could take for something else.
local function is_sane(id)
  return id ~= nil and #id <= LENGTH_MAX and id:find("^[%w._~:/+=@-]+$") ~= nil
end

local function new_uuid() return crypto.uuid(7) end

--- A middleware that names requests.
-- @param options header: of the field, "x-request-id"; accept: false, or true: the name that a request brings is taken
-- where it is sane (for servers behind a proxy that sets it); generate: a function in place of UUIDs of version 7
-- @usage app:use(middleware.request_id { accept = true })
return function(options)
  options_of.check(options, WHAT, KNOWN)
  options = options or {}
  local header = option(options, WHAT, "header", "header name", "x-request-id")
  local accept = option(options, WHAT, "accept", "boolean", false)
  local generate = option(options, WHAT, "generate", "function", new_uuid)

  return function(req, res, next)
    local id = accept and req.headers[header] or nil
    if not is_sane(id) then id = generate(req) end
    req.locals.request_id = id
    res:set(header, id)
    return next()
  end
end
