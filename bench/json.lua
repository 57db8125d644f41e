-- SPDX-License-Identifier: MIT
-- json: luaserve.json beside lua-cjson, CPU time of encode and decode for four kinds of documents.
--
--   ./luaserve bench/json.lua [rounds]     (or lua5.4, where luaserve.json is on package.cpath)
--
-- Both run in turns within each round, so that a change of the machine's speed hits both; a line shows the median
-- time of each and the median of the rounds' ratios. A ratio over 1 means that luaserve.json is faster.

local json = require("luaserve.json")
local has_cjson, cjson = pcall(require, "cjson")

local rounds = tonumber(arg and arg[1]) or 15
local slice = 0.02 -- seconds of CPU for one measurement

local function rows(n)
  local list = {}
  for i = 1, n do
    list[i] = {
      id = i * 7919,
      name = "User number " .. i,
      email = ("user%d@example.com"):format(i),
      active = i % 3 ~= 0,
      score = i * 1.25 + 0.1,
      tags = { "alpha", "beta", "gamma" },
      address = { street = i .. " Main Street", city = "Springfield", zip = "0" .. 1000 + i },
    }
  end
  return list
end

local function long_strings()
  local line = 'She said "hello", then left.\n\tPath: C:\\temp\\file — naïve café, done. '
  local list = {}
  for i = 1, 10 do
    list[i] = i .. line:rep(60)
  end
  return list
end

local function numbers(make)
  local list = {}
  for i = 1, 1000 do
    list[i] = make(i)
  end
  return list
end

math.randomseed(42)
local documents = {
  { "(a) small object", { id = 42, name = "Ada Lovelace", admin = true, balance = 12.5, roles = { "a", "b" } } },
  { "(b) 100 mixed rows", rows(100) },
  { "(c) long strings", long_strings() },
  { "(d) integers", numbers(function(i) return i * 65537 % 1000003 end) },
  { "(d) prices", numbers(function(i) return (i * 7919 % 100000) / 100 + 0.01 end) },
  { "(d) random floats", numbers(function() return math.random() * 1000 end) },
}

-- How often fn(value) runs in a slice.
local function calibrate(fn, value)
  local n = 1
  while true do
    local start = os.clock()
    for _ = 1, n do
      fn(value)
    end
    local spent = os.clock() - start
    if spent >= slice then
      return n
    end
    n = spent < slice / 10 and n * 8 or math.ceil(n * slice / spent * 1.1)
  end
end

local function measure(fn, value, n)
  collectgarbage()
  local start = os.clock()
  for _ = 1, n do
    fn(value)
  end
  return (os.clock() - start) / n * 1e6
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

local function compare(label, ours, theirs, value)
  local n = calibrate(ours, value)
  local our_times, their_times, ratios = {}, {}, {}
  for i = 1, rounds do
    our_times[i] = measure(ours, value, n)
    if theirs then
      their_times[i] = measure(theirs, value, n)
      ratios[i] = their_times[i] / our_times[i]
    end
  end
  if theirs then
    print(("%-28s %10.2f us %10.2f us   %5.2f"):format(label, median(our_times), median(their_times), median(ratios)))
  else
    print(("%-28s %10.2f us"):format(label, median(our_times)))
  end
end

if not has_cjson then
  print("cjson is not installed: times of luaserve.json only")
end
print(("%-28s %13s %13s   %s"):format("", "luaserve.json", has_cjson and "cjson" or "", has_cjson and "ratio" or ""))
for _, document in ipairs(documents) do
  local name, value = document[1], document[2]
  local text = json.encode(value)
  compare(name .. " encode", json.encode, has_cjson and cjson.encode, value)
  compare(name .. " decode", json.decode, has_cjson and cjson.decode, text)
end
