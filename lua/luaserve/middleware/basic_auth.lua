-- SPDX-License-Identifier: MIT
--- A name and a password, asked for by the browser (RFC 7617). Over TLS only: they are sent with each request.

local authorization = require "luaserve.core.authorization"
local crypto = require "luaserve.crypto"
local option = require "luaserve.core.option"
local options_of = require "luaserve.core.options"

local WHAT = "middleware.basic_auth"
local KNOWN = { "realm", "users", "verify" }

--- name and password of the field; nil where it has none.
local function credentials_of(field)
  local text = authorization.take(field, "basic")
  text = text and crypto.base64_decode(text)
  if not text or text:find("[\0-\31\127]") then return nil end
  return text:match("^([^:]*):(.*)$")
end

--- A verify function for a table of passwords. What it compares has the same length for every name and password, so
-- that the time tells neither.
local function verify_users(users)
  local hashes = {}
  for name, password in pairs(users) do
    if type(name) ~= "string" or type(password) ~= "string" or name:find(":", 1, true) then
      error(WHAT .. ": users are { name = password }, and a name has no colon", 3)
    end
    hashes[name] = crypto.hash("sha256", password)
  end
  local nobody = crypto.random_bytes(32) -- the hash of no password that anybody knows
  return function(name, password)
    return crypto.equal(crypto.hash("sha256", password), hashes[name] or nobody)
  end
end

--- A middleware that lets only those pass who are known; who they are is in req.locals.user. Others get 401.
-- @param options verify: a function (name, password, req), which may wait, that gives the user, any value, or nil or
-- false; or users: { name = password }; realm: what the browser shows ("restricted")
-- @usage app:use("/admin", middleware.basic_auth { users = { ada = os.getenv "ADMIN_PASSWORD" } })
return function(options)
  options_of.check(options, WHAT, KNOWN)
  options = options or {}
  local verify = option(options, WHAT, "verify", "function")
  local users = option(options, WHAT, "users", "table")
  if (verify == nil) == (users == nil) then error(WHAT .. ": give it one of 'verify' and 'users'", 2) end
  verify = verify or verify_users(users)
  local realm = authorization.quote(option(options, WHAT, "realm", "header value", "restricted"))
  local challenge = ('Basic realm=%s, charset="UTF-8"'):format(realm)

  return function(req, res, next)
    local name, password = credentials_of(req.headers.authorization)
    local user = name and verify(name, password, req)
    if not user then return authorization.refuse(req, res, 401, challenge) end
    req.locals.user = user == true and name or user
    return next()
  end
end
