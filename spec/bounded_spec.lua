-- SPDX-License-Identifier: MIT
-- bounded: functions of string and table that could hold a thread for years can be stopped like Lua code, and give what
-- Lua's own give (manual 6.4, 6.6).

local pool, task, worker = require "luaserve.pool", require "luaserve.task", require "luaserve.worker"
local process = require "spec.support.process"
local waits = require "spec.support.waits"

local endless = {
  ["string.find"] = 'local _ = ("a"):rep(60):find(("a-"):rep(60) .. "b")',
  ["string.match"] = 'local _ = ("a"):rep(60):match(("a*"):rep(60) .. "b")',
  ["string.gmatch"] = 'for _ in ("a"):rep(60):gmatch(("a?"):rep(60) .. ("a-"):rep(60) .. "b") do end',
  ["string.gsub"] = 'local _ = ("a"):rep(60):gsub(("a-"):rep(60) .. "b", "")',
  ["table.move"] = "table.move({}, 1, 1e15 // 1 | 0, 2)",
  ["table.insert"] = "table.insert(setmetatable({}, { __len = function() return 1 << 50 end }), 1, true)",
  ["table.remove"] = "table.remove(setmetatable({}, { __len = function() return 1 << 50 end }), 1)",
  ["table.sort"] = [[table.sort(setmetatable({}, {
    __len = function() return (1 << 31) - 2 end,
    __index = function(_, i) return i end,
    __newindex = function() end,
  }))]],
}

describe("an endless call of", function()
  for name, code in pairs(endless) do
    it(name .. " ends when its job is cancelled", function()
      local job = task.spawn(pool.run, load(code))
      waits.eventually(function() return pool.stats().lanes.user.running == 1 end)
      job:cancel()
      pcall(job.join, job)
      assert.equal("cancelled", job:status())
      waits.eventually(function() return pool.stats().lanes.user.running == 0 end)
    end)

    it(name .. " ends with its worker", function()
      local path = process.temporary('require "luaserve.worker".parent:send("begins")\n' .. code)
      local w = worker.start(path)
      w:receive()
      w:terminate()
      assert.matches("was terminated", select(2, pcall(w.join, w)))
      os.remove(path)
    end)
  end
end)

describe("a string", function()
  it("that is empty is repeated at once, however often", function()
    assert.equal("", (""):rep(1 << 62))
    assert.equal("", ("x"):rep(0))
    assert.equal("", ("x"):rep(-5, ","))
    assert.equal("x,x,x", ("x"):rep(3, ","))
    assert.equal(",,", (""):rep(3, ","))
    assert.error_matches(function() return ("x"):rep(1 << 62) end, "resulting string too large")
  end)

  it("is found as text and as a pattern", function()
    local function all(...) return { ... } end
    assert.same({ 3, 4 }, all(("hello"):find("ll")))
    assert.same({ 6, 5 }, all(("hello"):find("", 6)))
    assert.same({}, all(("hello"):find("", 7)))
    assert.same({ 2, 3 }, all(("a.b+"):find(".b", 1, true)))
    assert.same({ 3, 5 }, all(("a\0b\0c"):find("b\0c")))
    local text = ("aaab"):rep(5000)
    assert.same({ 20001, 20005 }, all((text .. "aaaaa"):find("aaaaa", 1, true)))
    assert.same({ 5, 8, "k", "vv" }, all(("and k=vv"):find("(%w+)=(%w+)")))
    assert.same({ 1, 0, 1 }, all(("x"):find("()")))
    assert.same({}, all(("abab"):find("^ab", 2)))
    assert.same({ "(a(b)c)", 8 }, all(("(a(b)c) d"):match("(%b())()")))
    assert.same({ "THE", "quick" }, all(("THE (quick) fox"):match("%f[%a](%a+)%f[%A]%W+(%a+)")))
    assert.same({ '"', "then" }, all(([[say "then"]]):match([[(["'])(.-)%1]])))
  end)

  it("is replaced by text, tables and functions", function()
    assert.equal("hello hello world world", (("hello world"):gsub("%w+", "%0 %0")))
    assert.equal("world hello", (("hello world"):gsub("(%w+) (%w+)", "%2 %1")))
    assert.equal("$b", (("$a"):gsub("%w", { a = "b" })))
    assert.equal("A-b", (("a-b"):gsub("%a", function(c) return c == "a" and "A" or nil end)))
    assert.equal("-a-b-", (("ab"):gsub("", "-")))
    assert.equal("xbab", (("abab"):gsub("a", "x", 1)))
    assert.error_matches(function() return ("a"):gsub("a", "%2") end, "invalid capture index %%2")
  end)

  it("has errors of patterns as Lua tells them", function()
    for pattern, text in pairs {
      ["%"] = "malformed pattern %(ends with '%%'%)", ["[a"] = "malformed pattern %(missing ']'%)",
      ["(a"] = "unfinished capture", ["(a))"] = "invalid pattern capture", ["%1"] = "invalid capture index %%1",
      ["%b"] = "missing arguments to '%%b'", ["%f"] = "missing '%[' after '%%f' in pattern",
      [("()"):rep(33)] = "too many captures", [("(a?)"):rep(20) .. ("a?"):rep(300)] = "pattern too complex",
    } do
      assert.error_matches(function() return ("a"):rep(400):find(pattern) end, text)
    end
  end)
end)

describe("a list", function()
  it("is moved, cut, joined and sorted with its metamethods", function()
    local log = {}
    local list = setmetatable({}, {
      __len = function() return 3 end,
      __index = function(_, i) log[#log + 1] = "get " .. i return i * 10 end,
      __newindex = function(_, i, value) log[#log + 1] = "set " .. i .. " " .. tostring(value) end,
    })
    assert.equal("10,20,30", table.concat(list, ","))
    assert.same({ 10, 20, 30 }, { table.unpack(list) })
    assert.equal(30, table.remove(list))
    table.insert(list, 2, "new")
    assert.same({ "get 1", "get 2", "get 3", "get 1", "get 2", "get 3", "get 3", "set 3 nil", "get 3", "set 4 30",
      "get 2", "set 3 20", "set 2 new" }, log)
    local random = {}
    for i = 1, 1000 do random[i] = math.random(100) end
    table.sort(random, function(a, b) return a > b end)
    for i = 2, 1000 do assert.is_true(random[i - 1] >= random[i]) end
    assert.same({ 1, 1, 2, 3 }, table.move({ 1, 2, 3 }, 1, 3, 2))
  end)

  it("has the errors of Lua", function()
    assert.error_matches(function() table.insert({ 1 }, 5, 1) end, "position out of bounds")
    assert.error_matches(function() table.concat { 1, {}, 3 } end, "invalid value .*at index 2.* in table for 'concat'")
    assert.error_matches(function() table.sort({ 1, "x" }) end, "attempt to compare")
    assert.error_matches(function() table.sort({ 1, 2, 3, 4, 5, 6 }, function() return true end) end,
      "invalid order function for sorting")
    assert.error_matches(function() table.move({}, 1, math.maxinteger, 2) end, "destination wrap around")
    assert.error_matches(function() return table.unpack({}, 1, 1e8) end, "too many results to unpack")
  end)
end)
