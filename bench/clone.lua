-- SPDX-License-Identifier: MIT
-- clone: what it costs to copy a value to a job of the pool, beside encoding and decoding it with lua-cjson.
--
--   ./luaserve bench/clone.lua [rounds]
--
-- CPU time of all threads. A job that returns its argument copies it twice; what a job without one costs is subtracted.
-- Both run in turns within each round; a line shows the median time of one copy and of one encode and decode, and the
-- median of the rounds' ratios. A ratio over 1 means that the copy is faster.

local pool = require "luaserve.pool"
local has_cjson, cjson = pcall(require, "cjson")

local rounds = tonumber(arg and arg[1]) or 15

local function list(n, make)
  local t = {}
  for i = 1, n do t[i] = make(i) end
  return t
end

local documents = {
  { "10,000 short strings", list(10000, function(i) return "str" .. i end) },
  { "10,000 integers", list(10000, function(i) return i * 65537 end) },
  { "10,000 floats", list(10000, function(i) return i * 1.1 end) },
  { "10,000 strings and floats", list(10000, function(i) return i % 2 == 0 and i * 1.1 or "value " .. i end) },
  { "1000 mixed rows", list(1000, function(i)
    return { id = i, name = "User number " .. i, email = i .. "@example.com", active = true, score = i * 1.25 + 0.1,
      tags = { "alpha", "beta", "gamma" }, address = { street = i .. " Main Street", city = "Springfield" } }
  end) },
  { "10 strings of 100 KB", list(10, function(i) return tostring(i):rep(100000) end) },
}

local function identity(...) return ... end

local function measure(n, fn, ...)
  collectgarbage()
  local start = os.clock()
  for _ = 1, n do fn(...) end
  return (os.clock() - start) / n * 1e6
end

local function median(t)
  table.sort(t)
  return t[(#t + 1) // 2]
end

local function recode(value) return cjson.decode(cjson.encode(value)) end

print(("%-28s %12s %12s   %s"):format("", "clone", has_cjson and "cjson" or "", has_cjson and "ratio" or ""))
for _, document in ipairs(documents) do
  local label, value = document[1], document[2]
  local ours, theirs, ratios = {}, {}, {}
  for i = 1, rounds do
    ours[i] = (measure(20, pool.run, identity, value) - measure(20, pool.run, identity)) / 2
    if has_cjson then
      theirs[i] = measure(20, recode, value)
      ratios[i] = theirs[i] / ours[i]
    end
  end
  local line = ("%-28s %9.0f us"):format(label, median(ours))
  print(has_cjson and ("%s %9.0f us   %5.2f"):format(line, median(theirs), median(ratios)) or line)
end
