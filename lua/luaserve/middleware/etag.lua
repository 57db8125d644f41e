-- SPDX-License-Identifier: MIT
--- A tag of what a handler sends as a whole, so that a client that has it already gets 304 (RFC 9110 8.8.3, 13.1.2). It
-- saves the way, not the work: a handler that knows its version before does better with res:precondition.

local crypto = require "luaserve.crypto"
local option = require "luaserve.core.option"
local options_of = require "luaserve.core.options"

local WHAT = "middleware.etag"
local KNOWN = { "max_bytes", "weak" }

--- Whether a list of tags has this one, where weak and strong are the same (RFC 9110 8.8.3.2).
local function has_tag(list, tag)
  if list == "*" then return true end
  local opaque = tag:match('^W?/?(".*")$')
  for quoted in list:gmatch('"[^"]*"') do
    if quoted == opaque then return true end
  end
  return false
end

local function says_no_store(res)
  local control = res:get("cache-control")
  return control ~= nil and control:lower():find("no-store", 1, true) ~= nil
end

--- A middleware that tags the bodies that res:send and res:json give for GET and HEAD with a status of 200.
-- @param options weak: false, or true: the tag says "as good as", not "the same bytes"; max_bytes: of the largest body
-- that is hashed (1 MiB)
-- @usage app:use(middleware.etag())
return function(options)
  options_of.check(options, WHAT, KNOWN)
  options = options or {}
  local prefix = option(options, WHAT, "weak", "boolean", false) and 'W/"' or '"'
  local max_bytes = option(options, WHAT, "max_bytes", "size", 1 << 20)

  local function tag(req, res, body)
    local etag = res:get("etag")
    if not etag then
      if #body > max_bytes or says_no_store(res) then return end
      etag = prefix .. crypto.hash("sha256", body, "base64url"):sub(1, 27) .. '"' -- 162 bits
      res:set("etag", etag)
    end
    local known = req.headers["if-none-match"]
    if known and has_tag(known, etag) then
      res.status = 304
      res:remove("content-type")
    end
  end

  return function(req, res, next)
    if req.method == "GET" or req.method == "HEAD" then
      res:on_head(function(body)
        if body and res.status == 200 then tag(req, res, body) end
      end)
    end
    return next()
  end
end
