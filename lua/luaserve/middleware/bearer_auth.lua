-- SPDX-License-Identifier: MIT
--- A token that who sends it may use what it is for (RFC 6750): a JSON Web Token, a key of an API.

local authorization = require "luaserve.core.authorization"
local crypto = require "luaserve.crypto"
local option = require "luaserve.core.option"
local options_of = require "luaserve.core.options"

local WHAT = "middleware.bearer_auth"
local KNOWN = { "realm", "scope", "tokens", "verify" }

local statuses = { invalid_request = 400, invalid_token = 401, insufficient_scope = 403 }

--- A verify function for a table of tokens: looked up by their hash, which nobody can choose bit by bit.
local function verify_tokens(tokens)
  local users = {}
  for token, user in pairs(tokens) do
    if type(token) ~= "string" or #token < 16 then
      error(WHAT .. ": tokens are { token = user }, and a token has at least 16 characters", 3)
    end
    users[crypto.hash("sha256", token)] = user
  end
  return function(token) return users[crypto.hash("sha256", token)] end
end

--- A middleware that lets only requests with a good token pass; what it stands for is in req.locals.user.
-- @param options verify: a function (token, req), which may wait, that gives the user, any value, or nil and, if it
-- likes, "insufficient_scope"; or tokens: { token = user }; realm ("restricted"); scope: what a token must be good for,
-- for the challenge
-- @usage app:use("/api", middleware.bearer_auth { verify = function(token) return jwt.verify(token, key, wanted) end })
return function(options)
  options_of.check(options, WHAT, KNOWN)
  options = options or {}
  local verify = option(options, WHAT, "verify", "function")
  local tokens = option(options, WHAT, "tokens", "table")
  if (verify == nil) == (tokens == nil) then error(WHAT .. ": give it one of 'verify' and 'tokens'", 2) end
  verify = verify or verify_tokens(tokens)
  local challenge = "Bearer realm=" .. authorization.quote(option(options, WHAT, "realm", "header value", "restricted"))
  local scope = option(options, WHAT, "scope", "header value")
  if scope then challenge = challenge .. ", scope=" .. authorization.quote(scope) end

  local function refuse(req, res, code)
    return authorization.refuse(req, res, statuses[code], ('%s, error="%s"'):format(challenge, code))
  end

  return function(req, res, next)
    local field = req.headers.authorization
    local token = authorization.take(field, "bearer")
    if not token then -- no error code where the client did not know that it needs one (RFC 6750 3.1)
      return authorization.refuse(req, res, 401, challenge)
    elseif not token:find("^[%w._~+/-]+=*$") then
      return refuse(req, res, "invalid_request")
    end
    local user, reason = verify(token, req)
    if not user then return refuse(req, res, reason == "insufficient_scope" and reason or "invalid_token") end
    req.locals.user = user
    return next()
  end
end
