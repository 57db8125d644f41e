-- SPDX-License-Identifier: MIT
--- What is to be remembered of a visitor: req.locals.session, a table of values as JSON has them. It is in the
-- visitor's cookie, sealed so that nobody can read or change it; or in a store, and the cookie has a name for it that
-- nobody can guess. It is saved just before the head of the response leaves, and only where it has changed.

local crypto = require "luaserve.crypto"
local json = require "luaserve.json"
local option = require "luaserve.core.option"
local options_of = require "luaserve.core.options"

local WHAT = "middleware.session"
local KNOWN = { "absolute_timeout", "domain", "idle_timeout", "name", "path", "persistent", "same_site", "secret",
  "secure", "store" }

local SECRET_MIN = 32
local COOKIE_MAX = 4096 -- bytes of a whole Set-Cookie field that every user agent takes (RFC 6265 6.1)
local ATTRIBUTES_MAX = 300 -- what is behind the value, with a domain of the usual length
local ID_BYTES = 32

local base64url_decode, decrypt = crypto.base64url_decode, crypto.decrypt
local ipairs, next_value, os, setmetatable, tonumber, type = ipairs, next, os, setmetatable, tonumber, type
local format, match, math_type, tointeger = string.format, string.match, math.type, math.tointeger

local sorted = { sort_keys = true }

-- ---- the table that handlers see ----

-- What the middleware knows of a session is its metatable, the state, so that nothing but the visitor's values is in
-- the table. A value of the same name hides a method.
local methods = {}

--- Gives the session a new name: at each login, so that a name that somebody else has put there is worth nothing.
function methods.regenerate(session)
  getmetatable(session).regenerate = true
end

--- Forgets the session.
function methods.destroy(session)
  for name in pairs(session) do session[name] = nil end
  getmetatable(session).regenerate = true
end

--- Its values as they are now, to be compared later, and how many; nil where that does not do: a table can change by
-- itself, and 0.0 is equal to -0.0.
local function copy_flat(session)
  local copy, count = {}, 0
  for name, value in next_value, session do
    if type(value) == "table" or (value == 0 and math_type(value) == "float") then return nil end
    copy[name], count = value, count + 1
  end
  return copy, count
end

--- Whether the values are those of the copy: as JSON has them, in which 1 is not 1.0.
local function is_same(session, copy, count)
  for name, value in next_value, session do
    if copy[name] ~= value or math_type(copy[name]) ~= math_type(value) then return false end
    count = count - 1
  end
  return count == 0
end

--- The values as text, the same for the same values; nil: there is none.
local function encode_values(session)
  if next(session) == nil then return nil end
  local ok, text = pcall(json.encode, session, sorted)
  if not ok then error(WHAT .. ": the session cannot be kept: " .. tostring(text), 0) end
  return text
end

-- ---- where it is kept: functions that load and save { values, created, saved } ----

--- A record as text, and back; what is no record, or is over, is nil.
local function encode_record(state, text, now)
  return format('%d.%d.{"values":%s}', state.created, now, text)
end

local function decode_record(record, now, idle, absolute)
  local created, saved, text = match(record, '^(%d+)%.(%d+)%.{"values":(.*)}$')
  created, saved = tointeger(tonumber(created)), tointeger(tonumber(saved))
  if not created or not saved or now - created >= absolute or now - saved >= idle then return nil end
  local values = json.decode(text)
  if type(values) ~= "table" then return nil end
  return values, created, saved, text
end

local function keys_of(secret)
  local keys = {}
  for i, one in ipairs(type(secret) == "table" and secret or { secret }) do
    if type(one) ~= "string" or #one < SECRET_MIN then
      error(("%s: a secret is a string of at least %d bytes"):format(WHAT, SECRET_MIN), 4)
    end
    keys[i] = crypto.hkdf("sha256", one, { info = "luaserve.session", length = 32 })
  end
  if #keys == 0 then error(WHAT .. ": without a store, option 'secret' is needed", 4) end
  return keys
end

--- In the cookie itself: a box, which says what it is for, so that it cannot be another cookie's.
local function cookie_backend(secret, name)
  local keys, aad = keys_of(secret), { aad = "luaserve.session " .. name }
  local backend = {}

  --- record, and whether it was sealed by an old key.
  function backend.load(value)
    local box = base64url_decode(value)
    if not box then return nil end
    for i = 1, #keys do
      local record = decrypt(keys[i], box, aad)
      if record then return record, i > 1 end
    end
    return nil
  end

  function backend.save(_, record)
    return crypto.base64url_encode(crypto.encrypt(keys[1], record, aad))
  end

  function backend.delete() end

  return backend
end

--- In a store, under the hash of its name: who can read the store cannot take over a session.
local function store_backend(store)
  local backend, has_replace = {}, store.replace ~= nil

  local function key_of(id) return "session:" .. crypto.hash("sha256", id, "base64url") end

  function backend.load(id)
    if not id:find("^[%w_-]+$") then return nil end
    local record, message = store:get(key_of(id))
    if message then error(WHAT .. ": " .. message, 0) end
    return record
  end

  --- The name for the cookie: the one that it has, or a new one. nil: it has been forgotten meanwhile, by a request
  -- that has logged the visitor out, and must not come back.
  function backend.save(id, record, ttl)
    local method = id and has_replace and "replace" or "set"
    local name = id or crypto.random_bytes(ID_BYTES, "base64url")
    local ok, message = store[method](store, key_of(name), record, { ttl = ttl })
    if message then error(("%s: it cannot be stored: %s"):format(WHAT, message), 0) end
    return ok and name or nil
  end

  function backend.delete(id) store:delete(key_of(id)) end

  return backend
end

local function backend_of(options, name)
  local store = options.store
  if store == nil then return cookie_backend(option(options, WHAT, "secret", "string|table", {}, 3), name) end
  if options.secret ~= nil then error(WHAT .. ": a session in a store needs no secret", 3) end
  if type(store) == "string" then store = require "luaserve.shared".dict(store) end
  if type(store) ~= "table" and type(store) ~= "userdata" then
    error(WHAT .. ": option 'store' must be a dictionary of luaserve.shared, its name, or an object like one", 3)
  end
  return store_backend(store)
end

-- ---- the middleware ----

--- A middleware that gives each visitor a session.
-- @param options secret: a string of at least 32 random bytes, or a list of them, the newest first: the session is in
-- the cookie; or store: the name of a dictionary of luaserve.shared, or an object with its get, set and delete: it is
-- there; idle_timeout: seconds without a request after which it is over (3600); absolute_timeout: the same since it
-- began (86400); persistent: false, or true: the cookie outlives the browser; name, path, domain, same_site, secure: of
-- the cookie ("session", "/", none, "lax", where the request is)
-- @usage app:use(middleware.session { secret = os.getenv "SESSION_SECRET" })
return function(options)
  options_of.check(options, WHAT, KNOWN)
  options = options or {}
  local name = option(options, WHAT, "name", "header name", "session")
  local idle = option(options, WHAT, "idle_timeout", "seconds", 3600)
  local absolute = option(options, WHAT, "absolute_timeout", "seconds", 86400)
  local persistent = option(options, WHAT, "persistent", "boolean", false)
  local secure = option(options, WHAT, "secure", "boolean")
  local attributes = {
    path = option(options, WHAT, "path", "string", "/"),
    domain = option(options, WHAT, "domain", "string"),
    same_site = option(options, WHAT, "same_site", "string", "lax"),
    http_only = true,
  }
  local backend = backend_of(options, name)
  local refresh = math.min(idle / 4, 60) -- an unchanged session is saved again after this, so that it does not go idle

  local function attributes_for(req, max_age)
    return { path = attributes.path, domain = attributes.domain, same_site = attributes.same_site, http_only = true,
      secure = secure == nil and req.secure or secure or nil, max_age = max_age }
  end

  --- The session, and its state: saved is nil where it has to be saved anyway, kept what it was, as copy_flat has it,
  -- or as text without a count.
  local function load(req)
    local value, now = req:cookie(name), os.time()
    local record, is_old, values, created, saved, text, flat, count
    if value then record, is_old = backend.load(value) end
    if record then values, created, saved, text = decode_record(record, now, idle, absolute) end
    if values then flat, count = copy_flat(values) end
    if is_old then saved = nil end
    local state = { __index = methods, __name = "luaserve.session", had_cookie = value ~= nil, id = values and value,
      created = created or now, saved = saved, kept = flat or text, count = count }
    return setmetatable(values or {}, state), state
  end

  --- Whether the store, or the cookie, has it as it is now, and need not hear of it; and its values as text, where
  -- it took that to see.
  local function is_kept(session, state, now)
    if state.regenerate or not state.saved or now - state.saved >= refresh then return false end
    if state.count then return is_same(session, state.kept, state.count) end
    local text = encode_values(session)
    return text == state.kept, text
  end

  local function forget(req, res, state)
    if state.id then backend.delete(state.id) end
    if state.had_cookie then res:clear_cookie(name, attributes_for(req)) end
  end

  local function save(req, res, session, state)
    local now = os.time()
    local kept, text = is_kept(session, state, now)
    if kept then return end
    text = text or encode_values(session)
    if not text then return forget(req, res, state) end
    local id = state.id
    if state.regenerate and id then
      backend.delete(id)
      id = nil
    end
    local ttl = math.max(1, math.min(idle, state.created + absolute - now))
    local value = backend.save(id, encode_record(state, text, now), ttl)
    if not value then return end
    if #name + #value > COOKIE_MAX - ATTRIBUTES_MAX then
      error(("%s: %d bytes, sealed, are too many for a cookie: keep them in a store"):format(WHAT, #value), 0)
    end
    res:set_cookie(name, value, attributes_for(req, persistent and math.ceil(ttl) or nil))
    if not res:get("cache-control") then res:set("cache-control", "private, no-cache") end
  end

  return function(req, res, next)
    local session, state = load(req)
    local locals = req.locals
    locals.session = session
    res:on_head(function()
      if locals.session ~= session and getmetatable(locals.session) == nil then
        error(WHAT .. ": another table stands in req.locals.session: set what is in it, or destroy it", 0)
      end
      save(req, res, session, state)
    end)
    return next()
  end
end
