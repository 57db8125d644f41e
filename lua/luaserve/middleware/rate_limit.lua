-- SPDX-License-Identifier: MIT
--- So many requests in so much time, for each client: a bucket that holds `burst` tokens and gets `limit` of them,
-- evenly, in each `window`. It is one number, the time at which it would be full again (generic cell rate algorithm).

local crypto = require "luaserve.crypto"
local option = require "luaserve.core.option"
local options_of = require "luaserve.core.options"
local process = require "luaserve.process"
local refuse = require "luaserve.core.refuse"

local WHAT = "middleware.rate_limit"
local KNOWN = { "answer", "burst", "headers", "key", "limit", "max_keys", "store", "window" }

local KEY_MAX = 64 -- bytes; a longer key is kept as its hash, so that nobody can fill the memory with long ones

local hrtime = process.hrtime

-- ---- who it is ----

--- The first 64 bits of an IPv6 address, since that much is one customer's.
local function network_of(address)
  local head, tail = address:match("^(.-)::(.*)$")
  local groups = {}
  for group in (head or address):gmatch("%x+") do groups[#groups + 1] = group end
  if head and #groups < 4 then -- the zeros of "::" come next, and there may be groups behind them
    local behind = {}
    for group in tail:gmatch("[%x.]+") do behind[#behind + 1] = group end
    local count = #behind + (tail:find(".", 1, true) and 1 or 0)
    for _ = #groups + 1, 8 - count do groups[#groups + 1] = "0" end
    table.move(behind, 1, #behind, #groups + 1, groups)
  end
  return table.concat(groups, ":", 1, math.min(4, #groups)) .. "::/64"
end

--- The client, as far as it is known: those who hide are one.
local function client_of(req)
  local address = req.remote_address
  if not address then return "unknown" end
  return address:find(":", 1, true) and network_of(address) or address
end

-- ---- stores: functions (key, now, cost, room) -> seconds until the bucket is full; or nil and those to wait ----

--- In this Lua state. At most max_keys buckets: those that were looked at last are young; when they are half of it, the
-- old ones are forgotten and the young become the old.
local function memory_store(max_keys)
  local young, old, count = {}, {}, 0
  local half = math.max(1, max_keys // 2)

  return function(key, now, cost, room)
    local full_at = young[key]
    local is_new = not full_at
    full_at = math.max(full_at or old[key] or now, now)
    local next_full_at = full_at + cost
    local allowed = next_full_at - now <= room
    if is_new then
      if count >= half then young, old, count = {}, young, 0 end
      count = count + 1
    end
    young[key] = allowed and next_full_at or full_at
    if allowed then return next_full_at - now end
    return nil, next_full_at - now - room
  end
end

--- In a dictionary of luaserve.shared, for all threads together. One that is full drops what was used longest ago.
-- prefix: keeps limits of other numbers apart.
local function shared_store(dict, prefix)
  return function(key, now, cost, room)
    key = prefix .. key
    local seen = dict:get(key)
    while true do
      local full_at = math.max(seen or now, now)
      local next_full_at = full_at + cost
      if next_full_at - now > room then return nil, next_full_at - now - room end
      local stored, there = dict:cas(key, seen, next_full_at)
      if stored ~= false then -- also where it has no place: then nobody is limited
        dict:expire(key, math.max(1, next_full_at - now + 1))
        return next_full_at - now
      end
      seen = there
    end
  end
end

local function store_of(store, prefix, max_keys)
  if store == nil then return memory_store(max_keys) end
  return shared_store(type(store) == "string" and require "luaserve.shared".dict(store) or store, prefix)
end

-- ---- the middleware ----

--- A middleware that answers 429 to who asks too often.
-- @param options limit (needed): requests in each window; window: seconds (60); burst: how many may come at once
-- (limit); key: a function (req) that gives a string instead of the client's address, or nil: not limited; store: a
-- dictionary of luaserve.shared, or its name, for a limit over all threads; max_keys: buckets in memory otherwise
-- (100000); headers: true, or false: responses do not tell what is left; answer: a function (req, res, seconds) that
-- answers instead
-- @usage app:use("/login", middleware.rate_limit { limit = 5, window = 60 })
return function(options)
  options_of.check(options, WHAT, KNOWN)
  options = options or {}
  local limit = option(options, WHAT, "limit", "count")
  if not limit then error(WHAT .. ": option 'limit' is needed: requests in each window", 2) end
  local window = option(options, WHAT, "window", "seconds", 60)
  local burst = option(options, WHAT, "burst", "count", limit)
  local key_of = option(options, WHAT, "key", "function", client_of)
  local max_keys = option(options, WHAT, "max_keys", "count", 100000)
  local with_headers = option(options, WHAT, "headers", "boolean", true)
  local answer = option(options, WHAT, "answer", "function")
  if type(options.store) ~= "userdata" then option(options, WHAT, "store", "string|table") end
  local take = store_of(options.store, ("rate:%d/%g/%d:"):format(limit, window, burst), max_keys)
  local cost, slack = window / limit, window / limit * 1e-6 -- of sums of fractions
  local room = cost * burst + slack

  local function answer_wait(req, res, wait)
    local seconds = math.max(1, math.ceil(wait))
    res:set("retry-after", seconds)
    if answer then return answer(req, res, seconds) end
    return refuse(req, res, 429, "too many requests")
  end

  return function(req, res, next)
    local key = key_of(req)
    if key == nil then return next() end
    if type(key) ~= "string" then key = tostring(key) end
    if #key > KEY_MAX then key = crypto.hash("sha256", key) end
    local used, wait = take(key, hrtime() / 1e9, cost, room)
    if with_headers then
      res:set("ratelimit-limit", burst)
      res:set("ratelimit-remaining", used and math.max(0, (room - used) // cost | 0) or 0)
      res:set("ratelimit-reset", math.ceil(used or wait + room - cost))
    end
    if not used then return answer_wait(req, res, wait) end
    return next()
  end
end
