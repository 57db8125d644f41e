-- SPDX-License-Identifier: MIT
--- luaserve.shared: dictionaries by name.

local json, shared, timer = require "luaserve.json", require "luaserve.shared", require "luaserve.timer"

local count = 0

--- A dictionary that no other case has.
local function fresh(options)
  count = count + 1
  return shared.dict("spec " .. count, options)
end

describe("shared.dict", function()
  it("gives the same dictionary for the same name", function()
    local dict = fresh()
    dict:set("k", 1)
    assert.equal(1, shared.dict("spec " .. count):get("k"))
    assert.is_nil(fresh():get("k"))
    assert.equal("dict (spec " .. count .. ")", tostring(shared.dict("spec " .. count)))
  end)

  it("has one size, and says so", function()
    local dict = fresh { max_bytes = 8192 }
    assert.equal(8192, dict:stats().max_bytes)
    shared.dict("spec " .. count, { max_bytes = 8192 })
    shared.dict("spec " .. count)
    assert.error_matches(function() shared.dict("spec " .. count, { max_bytes = 16384 }) end,
      "'spec %d+' is there with max_bytes = 8192, not 16384")
    assert.error_matches(function() fresh { max_bytes = 1 } end, "must be from 4096")
    assert.error_matches(function() fresh { max_byte = 8192 } end, "did you mean 'max_bytes'")
  end)
end)

describe("a dictionary", function()
  it("keeps booleans, numbers, strings and tables as they are", function()
    local dict = fresh()
    for _, value in ipairs { true, false, 0, -1, math.maxinteger, 1.5, math.huge, "", "a\0b", ("x"):rep(100000) } do
      assert.is_true(dict:set("k", value))
      local got = dict:get("k")
      assert.equal(value, got)
      assert.equal(math.type(value), math.type(got))
    end
    dict:set("nan", 0 / 0)
    assert.is_true(dict:get("nan") ~= dict:get("nan"))
    local ring = { list = { 1, 2, { deep = "yes" } }, null = json.null }
    ring.self = ring
    dict:set("ring", ring)
    local got = dict:get("ring")
    assert.same({ 1, 2, { deep = "yes" } }, got.list)
    assert.equal(got, got.self)
    assert.equal(json.null, got.null)
    got.list[1] = 7 -- a copy
    assert.equal(1, dict:get("ring").list[1])
  end)

  it("refuses what cannot be kept, by name", function()
    local dict = fresh()
    assert.error_matches(function() dict:set("k", print) end, "cannot copy a function")
    assert.error_matches(function() dict:set("k", { a = { b = print } }) end,
      "cannot copy a function at value%[1%]%.a%.b")
    assert.error_matches(function() dict:set("k", nil) end, "to remove one there is delete")
    assert.error_matches(function() dict:set(1, 1) end, "string expected, got number")
    assert.error_matches(function() dict:set("k", 1, { tll = 1 }) end, "did you mean 'ttl'")
    assert.error_matches(function() dict:set("k", 1, { ttl = -1 }) end, "option 'ttl' must be")
  end)

  it("adds only where there is none, and replaces only where there is one", function()
    local dict = fresh()
    assert.is_false(dict:replace("k", 1))
    assert.is_true(dict:add("k", 2))
    assert.is_false(dict:add("k", 3))
    assert.equal(2, dict:get("k"))
    assert.is_true(dict:replace("k", 4))
    assert.equal(4, dict:get("k"))
    assert.is_true(dict:delete("k"))
    assert.is_false(dict:delete("k"))
    assert.is_nil(dict:get("k"))
  end)

  it("counts", function()
    local dict = fresh()
    assert.same({ nil, "ENOENT: no such file or directory: incr 'n'", "ENOENT" }, { dict:incr("n") })
    assert.equal(43, dict:incr("n", 3, { initial = 40 }))
    assert.equal(44, dict:incr("n"))
    assert.equal(44.5, dict:incr("n", 0.5))
    assert.equal(math.mininteger, dict:incr("wraps", 1, { initial = math.maxinteger }))
    dict:set("text", "x")
    assert.equal("EINVAL", (select(3, dict:incr("text"))))
    assert.error_matches(function() dict:incr("n", "1") end, "number expected, got string")
    assert.error_matches(function() dict:incr("n", 1, { initial = "0" }) end, "option 'initial' must be a number")
  end)

  it("compares and swaps", function()
    local dict = fresh()
    assert.is_true(dict:cas("k", nil, "one"))
    assert.same({ false, "one" }, { dict:cas("k", nil, "two") })
    assert.same({ false, "one" }, { dict:cas("k", "two", "three") })
    assert.is_true(dict:cas("k", "one", 2))
    assert.is_true(dict:cas("k", 2.0, false)) -- numbers are compared as Lua does
    assert.same({ false, false }, { dict:cas("k", 0, 1) })
    assert.is_true(dict:cas("k", false, nil))
    assert.is_nil(dict:get("k"))
    assert.same({ false, nil }, { dict:cas("k", 1, 2) })
    assert.error_matches(function() dict:cas("k", {}, 1) end, "tables are not compared")
  end)

  it("forgets what has had its time", function()
    local dict = fresh()
    dict:set("short", 1, { ttl = 0.05 })
    dict:set("long", 1, { ttl = 3600 })
    dict:set("ever", 1)
    assert.is_true(dict:ttl("short") <= 0.05)
    assert.is_true(dict:ttl("long") > 3000)
    assert.equal(math.huge, dict:ttl("ever"))
    assert.is_nil(dict:ttl("none"))
    dict:incr("count", 1, { initial = 0, ttl = 0.05 })
    while dict:ttl("short") or dict:ttl("count") do timer.sleep(0.01) end
    assert.is_nil(dict:get("short"))
    assert.is_true(dict:add("short", 2))
    assert.equal(1, dict:incr("count", 1, { initial = 0 }))
    assert.is_true(dict:expire("long", 0.01))
    assert.is_false(dict:expire("none", 1))
    while dict:ttl("long") do timer.sleep(0.01) end
    assert.is_true(dict:expire("short"))
    assert.equal(math.huge, dict:ttl("short"))
    assert.is_true(dict:stats().expirations >= 2)
  end)

  it("keeps a time that cas and incr find", function()
    local dict = fresh()
    dict:set("k", 1, { ttl = 3600 })
    dict:incr("k")
    dict:cas("k", 2, 3)
    assert.is_true(dict:ttl("k") <= 3600)
    dict:set("k", 4)
    assert.equal(math.huge, dict:ttl("k"))
  end)

  it("drops what was used least when it is full, and never takes more than it may", function()
    local dict = fresh { max_bytes = 65536 }
    dict:set("kept", "x")
    for i = 1, 5000 do
      assert.is_true(dict:set("k" .. i, ("x"):rep(100)))
      assert.equal("x", dict:get("kept"))
    end
    local stats = dict:stats()
    assert.is_true(stats.bytes <= 65536)
    assert.is_true(stats.evictions > 4000)
    assert.is_nil(dict:get("k1"))
    assert.equal(("x"):rep(100), dict:get("k5000"))
    assert.equal("ETOOBIG", (select(3, dict:set("big", ("x"):rep(65536)))))
    assert.equal("ETOOBIG", (select(3, dict:set(("k"):rep(65536), 1))))
  end)

  it("drops what has expired first", function()
    local dict = fresh { max_bytes = 4096 }
    for i = 1, 5 do dict:set("short" .. i, ("x"):rep(300), { ttl = 0.001 }) end
    for i = 1, 3 do dict:set("long" .. i, ("x"):rep(300)) end
    while dict:ttl("short5") do timer.sleep(0.002) end
    for i = 4, 8 do dict:set("long" .. i, ("x"):rep(300)) end
    for i = 1, 8 do assert.is_string(dict:get("long" .. i), i) end
    assert.equal(0, dict:stats().evictions)
  end)

  it("lists its keys, is cleared, and counts what is asked of it", function()
    local dict = fresh()
    for i = 1, 20 do dict:set("k" .. i, i) end
    local keys = dict:keys()
    table.sort(keys)
    assert.equal(20, #keys)
    assert.equal("k1", keys[1])
    assert.equal(5, #dict:keys(5))
    assert.equal(0, #dict:keys(0))
    dict:get("k1")
    dict:get("none")
    local stats = dict:stats()
    assert.same({ 20, 1, 1 }, { stats.count, stats.hits, stats.misses })
    dict:clear()
    assert.same({ 0, 0 }, { dict:stats().count, dict:stats().bytes })
    assert.same({}, dict:keys())
  end)
end)
