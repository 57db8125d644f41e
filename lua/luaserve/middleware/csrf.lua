-- SPDX-License-Identifier: MIT
--- Against requests that another site has a visitor's browser send (cross-site request forgery). What changes something
-- has to come from a page of this site, as far as the browser tells (Origin, Sec-Fetch-Site), and to bring a token that
-- only such a page can have read.
--
-- A token is random, and a signature of that by a key that belongs to the visitor: one in the session, or made from the
-- server's secret and a cookie. So each page has another token, and all of a visitor's are good.

local crypto = require "luaserve.crypto"
local option = require "luaserve.core.option"
local options_of = require "luaserve.core.options"
local refuse = require "luaserve.core.refuse"

local WHAT = "middleware.csrf"
local KNOWN = { "answer", "cookie", "exempt", "field", "header", "origins", "secret", "secure", "trust_origin" }

local SECRET_MIN = 32
local NONCE_LENGTH, SIGNATURE_LENGTH = 22, 43 -- of 16 and of 32 bytes in base64url

local safe = { GET = true, HEAD = true, OPTIONS = true, TRACE = true } -- RFC 9110 9.2.1

local function sign(key, nonce) return crypto.hmac("sha256", key, nonce, "base64url") end

local function new_token(key)
  local nonce = crypto.random_bytes(16, "base64url")
  return nonce .. sign(key, nonce)
end

local function is_token(key, token)
  if type(token) ~= "string" or #token ~= NONCE_LENGTH + SIGNATURE_LENGTH then return false end
  return crypto.equal(sign(key, token:sub(1, NONCE_LENGTH)), token:sub(NONCE_LENGTH + 1))
end

-- ---- the visitor's key: functions (req) -> key or nil, and (req, res) -> key ----

local session_keys = {}

function session_keys.find(req) return req.locals.session.csrf end

function session_keys.make(req)
  local session = req.locals.session
  session.csrf = session.csrf or crypto.random_bytes(16, "base64url")
  return session.csrf
end

--- The cookie holds a token too, signed with the secret, so that nobody can choose one; over TLS its name keeps other
-- hosts of the domain from setting it.
local function cookie_keys(secret, name, secure)
  local keys = {}
  local cookie_key = crypto.hkdf("sha256", secret, { info = "luaserve.csrf cookie", length = 32 })
  local token_key = crypto.hkdf("sha256", secret, { info = "luaserve.csrf token", length = 32 })

  local function name_for(req)
    if secure == nil and req.secure or secure then return "__Host-" .. name, true end
    return name, false
  end

  local function key_of(value) return crypto.hmac("sha256", token_key, value) end

  function keys.find(req)
    local value = req:cookie((name_for(req)))
    return is_token(cookie_key, value) and key_of(value) or nil
  end

  function keys.make(req, res)
    local found = keys.find(req)
    if found then return found end
    local value, cookie_name, is_secure = new_token(cookie_key), name_for(req)
    res:set_cookie(cookie_name, value, { secure = is_secure or nil, same_site = "lax", http_only = true })
    if not res:get("cache-control") then res:set("cache-control", "private, no-cache") end
    return key_of(value)
  end

  return keys
end

-- ---- where a request comes from ----

--- Whether an Origin is the one that the request was sent to. A proxy that nobody trusts may have taken TLS away.
local function is_own(req, origin)
  local host = req.host and req.host:lower()
  origin = origin:lower()
  return host ~= nil and (origin == "https://" .. host or not req.secure and origin == "http://" .. host)
end

--- What the browser tells against the request; nil: nothing. An origin of "null" is one that the page does not tell
-- (with Referrer-Policy: no-referrer, say), or that it does not have.
local function foreign(req, origins)
  local origin, site = req.headers.origin, req.headers["sec-fetch-site"]
  if origin and origin ~= "null" then
    return not is_own(req, origin) and not origins[origin:lower()] and "it comes from another origin" or nil
  elseif site and site ~= "same-origin" and site ~= "none" or origin and not site then
    return "it comes from another site"
  end
  return nil
end

--- Whether the browser tells that the request comes from this origin, or from one that may send requests: what no page
-- of another site can have it say. Nothing told is no proof, and the site "none" may be a link in a mail.
local function is_proven(req, origins)
  local origin, site = req.headers.origin, req.headers["sec-fetch-site"]
  if origin and origins[origin:lower()] then return true end
  if site then return site == "same-origin" end
  return origin ~= nil and is_own(req, origin)
end

--- The token that a request brings: in a field of the header, or of a form.
local function brought_token(req, header, field)
  local token = req.headers[header]
  if token then return token end
  local kind = req.headers["content-type"]
  if not kind or not kind:lower():find("^application/x%-www%-form%-urlencoded") then return nil end
  return assert(req:form())[field] -- a body that does not arrive is answered as such
end

-- ---- the middleware ----

--- Gives req.locals a csrf_token that is made when somebody looks.
local function offer_token(req, res, keys)
  local locals = req.locals
  local metatable = getmetatable(locals) or {}
  local outer = metatable.__index
  metatable.__index = function(t, name)
    if name == "csrf_token" then
      local token = new_token(keys.make(req, res))
      rawset(t, name, token)
      return token
    elseif type(outer) == "function" then
      return outer(t, name)
    end
    return outer and outer[name]
  end
  setmetatable(locals, metatable)
end

local function answer_reason(req, res, reason)
  return refuse(req, res, 403, "this request was refused: " .. reason)
end

--- A middleware that refuses what may be forged, with 403. The visitor's key is in the session, whose middleware comes
-- before; or, with a secret, it is made from that and a cookie.
-- @param options secret: a string of at least 32 random bytes; field: of a form ("csrf_token"); header
-- ("x-csrf-token"); cookie: its name ("csrf"); secure: true, false, or as the request is; origins: others that may send
-- requests, a list; exempt: a function (req) that says which requests need no token, such as those of an API that has
-- tokens of its own; answer: a function (req, res, reason) that refuses otherwise; trust_origin: true: no token is
-- needed where the browser tells that the request comes from here
-- @usage app:use(middleware.csrf())
return function(options)
  options_of.check(options, WHAT, KNOWN)
  options = options or {}
  local field = option(options, WHAT, "field", "string", "csrf_token")
  local header = option(options, WHAT, "header", "header name", "x-csrf-token")
  local name = option(options, WHAT, "cookie", "header name", "csrf")
  local secure = option(options, WHAT, "secure", "boolean")
  local exempt = option(options, WHAT, "exempt", "function")
  local answer = option(options, WHAT, "answer", "function", answer_reason)
  local trust_origin = option(options, WHAT, "trust_origin", "boolean", false)
  local secret = option(options, WHAT, "secret", "string")
  if secret and #secret < SECRET_MIN then
    error(("%s: a secret is a string of at least %d bytes"):format(WHAT, SECRET_MIN), 2)
  end
  local origins = {}
  for _, origin in ipairs(option(options, WHAT, "origins", "table", {})) do origins[origin:lower()] = true end
  local keys_without_session = secret and cookie_keys(secret, name, secure)

  local function keys_for(req)
    local keys = keys_without_session or req.locals.session and session_keys
    return keys or error(WHAT .. ": there is no session: use middleware.session before, or give this a secret", 0)
  end

  return function(req, res, next)
    local keys = keys_for(req)
    offer_token(req, res, keys)
    if safe[req.method] or exempt and exempt(req) then return next() end
    local reason = foreign(req, origins)
    if reason then return answer(req, res, reason) end
    if trust_origin and is_proven(req, origins) then return next() end
    local key = keys.find(req)
    if not key or not is_token(key, brought_token(req, header, field)) then
      return answer(req, res, "its token is missing or too old")
    end
    return next()
  end
end
